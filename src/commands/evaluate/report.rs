//! The report of an evaluation: one HTML page with its charts inside.

use crate::model::evaluation::Evaluation;
use crate::model::file::Name;
use crate::model::measure::Estimate;
use plotters::prelude::*;
use std::fmt::Write as _;

const PAGE: &str = include_str!("report.html");
const SIZE: (u32, u32) = (900, 280);
const BLUE: RGBColor = RGBColor(37, 99, 168);
const LIGHT: RGBColor = RGBColor(176, 203, 230);
const GRID: RGBColor = RGBColor(227, 232, 238);
const RED: RGBColor = RGBColor(192, 57, 43);
/// Columns of the histogram of scores.
const COLUMNS: usize = 60;
/// Over this a feature has shifted.
const SHIFTED: f64 = 0.25;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The page.
pub(super) fn page(evaluation: &Evaluation, name: &Name) -> String {
    let day = |window: Option<&crate::model::evaluation::Window>| window.map(|window| window.start.to_string());
    let windows = &evaluation.windows;
    let coloured = if evaluation.quality.is_some() { "; those of confirmed cases in red" } else { "" };
    let parts = [
        ("model", escaped(&evaluation.model)),
        ("name", escaped(&format!("{} · {}", name.zh, name.en))),
        ("version", evaluation.version.clone()),
        ("rows", evaluation.rows.to_string()),
        ("windows", windows.len().to_string()),
        ("from", day(windows.first()).unwrap_or_default()),
        ("to", day(windows.last()).unwrap_or_default()),
        ("coloured", coloured.to_owned()),
        ("quality", quality(evaluation)),
        ("scores", chart(|area| scores(evaluation, area))),
        ("calibration", chart(|area| calibration(evaluation, area))),
        ("time", chart(|area| time(evaluation, area))),
        ("drift", drift(evaluation)),
    ];
    parts.into_iter().fold(PAGE.to_owned(), |page, (name, text)| page.replace(&format!("{{{{{name}}}}}"), &text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn quality(evaluation: &Evaluation) -> String {
    let Some(quality) = &evaluation.quality else {
        return String::new();
    };
    let rows = [
        ("ROC-AUC", quality.roc_auc),
        ("average precision", Some(quality.average_precision)),
        ("precision at the budget", quality.precision_at_budget),
        ("recall at the budget", Some(quality.recall_at_budget)),
    ];
    let mut table = format!(
        "<h2>Confirmed cases: {}</h2>\n<table><tr><th>measure<th>value<th>95 % confidence\n",
        quality.confirmed
    );
    for (name, estimate) in rows {
        let (value, interval) = match estimate {
            Some(Estimate { value, low, high }) => (format!("{value:.3}"), format!("{low:.3} to {high:.3}")),
            None => ("–".to_owned(), String::new()),
        };
        writeln!(table, "<tr><td>{name}<td>{value}<td>{interval}").expect("a text has room");
    }
    table.push_str("</table>\n");
    if quality.unseen > 0 {
        writeln!(table, "<p>{} confirmed cases name an entity that was not seen in such a window.</p>", quality.unseen)
            .expect("a text has room");
    }
    table
}

/// Draws a chart as SVG.
fn chart(draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?))
    };
    match drawn {
        Ok(()) => svg,
        Err(error) => format!("<p>cannot be drawn: {}</p>", escaped(&error.to_string())),
    }
}

fn scores(evaluation: &Evaluation, area: &Area<'_>) -> Drawn {
    let values = || evaluation.scores.iter().map(|(score, _)| *score);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let width = if most > least { (most - least) / COLUMNS as f64 } else { 1.0 };
    let mut counts = [(0_u32, 0_u32); COLUMNS];
    for (score, confirmed) in &evaluation.scores {
        let (others, found) = &mut counts[(((score - least) / width) as usize).min(COLUMNS - 1)];
        *if *confirmed { found } else { others } += 1;
    }
    let highest = counts.iter().map(|(others, found)| others + found).max().unwrap_or(0);
    // The few that matter are far fewer than the rest.
    let scale = |count: u32| f64::from(count).sqrt();
    let mut context = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(least..least + width * COLUMNS as f64, 0.0..scale(highest) * 1.05)?;
    let rows = |root: &f64| format!("{:.0}", root * root);
    context
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .bold_line_style(GRID)
        .y_desc("rows")
        .y_label_formatter(&rows)
        .draw()?;
    context.draw_series(counts.iter().enumerate().flat_map(|(column, (others, found))| {
        let (from, to) = (least + column as f64 * width, least + (column as f64 + 0.9) * width);
        let all = Rectangle::new([(from, 0.0), (to, scale(others + found))], BLUE.filled());
        [all, Rectangle::new([(from, 0.0), (to, scale(*found))], RED.filled())]
    }))?;
    Ok(())
}

fn calibration(evaluation: &Evaluation, area: &Area<'_>) -> Drawn {
    let smallest = 1.0 / evaluation.rows.max(2) as f64;
    let least =
        evaluation.calibration.iter().map(|level| level.p.min(level.share.low.max(smallest))).fold(0.1, f64::min);
    let mut context = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d((least..1.0).log_scale(), (least..1.0).log_scale())?;
    context
        .configure_mesh()
        .max_light_lines(1)
        .bold_line_style(GRID)
        .x_desc("p-value")
        .y_desc("share of rows")
        .draw()?;
    context.draw_series(LineSeries::new([(least, least), (1.0, 1.0)], LIGHT.stroke_width(2)))?;
    for level in &evaluation.calibration {
        let share = level.share;
        let ends = [(level.p, share.low.max(least)), (level.p, share.high.max(least))];
        context.draw_series(LineSeries::new(ends, BLUE.stroke_width(2)))?;
        context.draw_series([Circle::new((level.p, share.value.max(least)), 4, BLUE.filled())])?;
    }
    Ok(())
}

fn time(evaluation: &Evaluation, area: &Area<'_>) -> Drawn {
    let windows = &evaluation.windows;
    let most = windows.iter().map(|window| window.raised + window.cut).max().unwrap_or(0).max(1);
    let mut context = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..windows.len() as f64, 0.0..most as f64 * 1.05)?;
    let start = |place: &f64| windows.get(*place as usize).map(|window| window.start.to_string()).unwrap_or_default();
    context
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .bold_line_style(GRID)
        .y_desc("entities")
        .x_labels(windows.len().min(8))
        .x_label_formatter(&start)
        .draw()?;
    context.draw_series(windows.iter().enumerate().flat_map(|(place, window)| {
        let (from, to) = (place as f64 + 0.1, place as f64 + 0.9);
        let all = Rectangle::new([(from, 0.0), (to, (window.raised + window.cut) as f64)], LIGHT.filled());
        [all, Rectangle::new([(from, 0.0), (to, window.raised as f64)], BLUE.filled())]
    }))?;
    Ok(())
}

/// A bar for each feature, as a table: names are long.
fn drift(evaluation: &Evaluation) -> String {
    let most = evaluation.drift.iter().map(|feature| feature.most).fold(SHIFTED * 1.2, f64::max);
    let mut table =
        String::from("<table><tr><th>feature<th>whole history, and most in a window (light)<th>index<th>most\n");
    for feature in &evaluation.drift {
        let width = |index: f64| index / most * 100.0;
        writeln!(
            table,
            "<tr><td>{}<td><svg viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" style=\"width:24rem;height:.8rem\">\
             <rect width=\"{:.2}\" height=\"4\" fill=\"#b0cbe6\"/><rect width=\"{:.2}\" height=\"4\" fill=\"#2563a8\"/>\
             <rect x=\"{:.2}\" width=\".3\" height=\"4\" fill=\"#c0392b\"/></svg><td>{:.3}<td>{:.3}",
            escaped(&feature.feature),
            width(feature.most),
            width(feature.index),
            width(SHIFTED),
            feature.index,
            feature.most
        )
        .expect("a text has room");
    }
    table.push_str("</table>\n");
    table
}
