//! What holds for every detector.

use super::*;
use crate::model::random::Random;
use ndarray::array;

fn table(values: Array2<f64>) -> Table {
    Table::new((0..values.ncols()).map(|number| format!("c{number}")).collect(), values).expect("names fit")
}

/// 300 normal rows of three columns, the last row far off in the second.
fn ordinary() -> Table {
    let mut random = Random::new(9, 0);
    let mut values = Array2::from_shape_simple_fn((300, 3), || random.normal());
    values[(299, 1)] = 9.0;
    table(values)
}

fn each(check: impl Fn(&str, &Detector)) {
    Detector::all().iter().for_each(|(name, detector)| check(name, detector));
}

#[test]
fn a_row_far_off_is_the_strangest_and_its_feature_is_named() {
    let table = ordinary();
    each(|name, detector| {
        let fitted = detector.fit(&table, 1).expect("fitted");
        let scores = fitted.score(&table).expect("scores");
        let higher = scores.iter().filter(|score| **score >= scores[299]).count();
        // Tails count ranks only, so three features a little out may weigh as much as one far out.
        assert!(higher <= 10, "{name}: {higher} score as high");
        let told = fitted.explain(&table, 299).expect("explained");
        let first = told.iter().max_by(|one, other| one.contribution.total_cmp(&other.contribution)).expect("features");
        assert_eq!((first.feature.as_str(), first.value), ("c1", 9.0), "{name}");
        assert!(first.median.abs() < 0.3);
    });
}

#[test]
fn exact_contributions_make_the_score() {
    let table = ordinary();
    each(|name, detector| {
        let fitted = detector.fit(&table, 1).expect("fitted");
        let clean = fitted.reference.clean(&table).expect("clean");
        for row in [0, 150, 299] {
            let score = fitted.model.score(clean.row(row));
            let Some(parts) = fitted.model.parts(clean.row(row)) else { continue };
            let (sum, greatest) = (parts.iter().sum::<f64>(), parts.iter().copied().fold(f64::MIN, f64::max));
            assert!((sum - score).abs() < 1e-9 || greatest == score, "{name}: {score} of {parts:?}");
        }
    });
}

#[test]
fn a_seed_gives_the_same_bytes_with_any_number_of_threads_and_they_come_back() {
    let table = ordinary();
    each(|name, detector| {
        let bytes = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| serde_json::to_string(&detector.fit(&table, seed).expect("fitted")).expect("JSON"))
        };
        let once = bytes(1, 5);
        assert!(once == bytes(3, 5), "{name}");
        let back: Fitted = serde_json::from_str(&once).expect("JSON");
        assert_eq!(back.score(&table), detector.fit(&table, 5).expect("fitted").score(&table), "{name}");
        let settings = serde_json::to_string(detector).expect("JSON");
        assert_eq!(&serde_json::from_str::<Detector>(&settings).expect("JSON"), detector);
    });
}

#[test]
fn missing_and_infinite_values_and_constant_columns_have_finite_scores() {
    let mut random = Random::new(3, 0);
    let mut values = Array2::from_shape_simple_fn((60, 5), || random.normal());
    values.column_mut(1).fill(4.0);
    values.column_mut(2).fill(f64::NAN);
    (values[(0, 0)], values[(1, 0)], values[(2, 3)], values[(3, 3)]) =
        (f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300);
    let first = values.column(0).to_owned();
    values.column_mut(4).assign(&first);
    let fitted_on = table(values);
    let others = table(array![
        [f64::NAN, f64::NAN, f64::NAN, f64::NAN, f64::NAN],
        [f64::INFINITY, 5.0, 1.0, f64::NEG_INFINITY, 1e308],
        [1e99, 4.0, 0.0, -1e99, 1e-300]
    ]);
    each(|name, detector| {
        let fitted = detector.fit(&fitted_on, 1).expect("fitted");
        for rows in [&fitted_on, &others] {
            let scores = fitted.score(rows).expect("scores");
            assert!(scores.iter().all(|score| score.is_finite()), "{name}: {scores:?}");
            assert!(fitted.p_values(&scores).iter().all(|p| *p > 0.0 && *p <= 1.0), "{name}");
        }
        let told = fitted.explain(&others, 1).expect("explained");
        assert_eq!((told[1].contribution, told[2].contribution), (0.0, 0.0), "{name}: constant columns say nothing");
    });
}

#[test]
fn equal_rows_score_alike() {
    each(|name, detector| {
        let fitted = detector.fit(&table(array![[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]), 1).expect("fitted");
        let scores = fitted.score(&table(array![[1.0, 2.0], [5.0, f64::NAN]])).expect("scores");
        assert!(scores[0] == scores[1] && scores[0].is_finite(), "{name}: {scores:?}");
        assert_eq!(fitted.p_values(&scores), [1.0, 1.0], "{name}");
    });
}

#[test]
fn many_copies_of_few_rows_are_no_trouble() {
    let values = Array2::from_shape_fn((200, 2), |(row, column)| f64::from(u8::from(row % 3 == 0)) + column as f64);
    each(|name, detector| {
        let fitted = detector.fit(&table(values.clone()), 1).expect("fitted");
        let scores = fitted.score(&table(values.clone())).expect("scores");
        assert!(scores.iter().all(|score| score.is_finite()), "{name}");
    });
}

#[test]
fn two_rows_can_be_fitted_and_one_cannot() {
    each(|name, detector| {
        let two = table(array![[1.0, 2.0], [3.0, 5.0]]);
        let scores = detector.fit(&two, 1).expect("fitted").score(&two).expect("scores");
        assert!(scores.iter().all(|score| score.is_finite()), "{name}");
        let told = detector.fit(&table(array![[1.0, 2.0]]), 1).expect_err("one row").to_string();
        assert!(told.contains("1 rows") && told.contains("at least 2"), "{name}: {told}");
    });
}

#[test]
fn other_columns_are_refused() {
    each(|name, detector| {
        let fitted = detector.fit(&ordinary(), 1).expect("fitted");
        let other = table(array![[1.0, 2.0]]);
        assert!(matches!(fitted.score(&other), Err(DetectorError::OtherColumns { .. })), "{name}");
        assert!(matches!(fitted.explain(&other, 0), Err(DetectorError::OtherColumns { .. })), "{name}");
    });
}

/// Calibrations see the scores of fitted rows only. Of further rows of the same law more may look strange; here by how much,
/// on average over fits.
#[test]
fn of_further_rows_p_values_are_too_low_by_a_known_factor() {
    const FITS: usize = 10;
    let mut random = Random::new(21, 0);
    let mut rows = |count| {
        // Half of the ten features follow from one cause, so they correlate.
        let values = Array2::from_shape_simple_fn((count, 11), || random.normal());
        table(Array2::from_shape_fn((count, 10), |(row, column)| {
            values[(row, column)] + if column < 5 { values[(row, 10)] } else { 0.0 }
        }))
    };
    let drawn: Vec<(Table, Table)> = (0..FITS).map(|_| (rows(500), rows(1000))).collect();
    each(|name, detector| {
        let p = drawn.iter().flat_map(|(fitted_on, further)| {
            let fitted = detector.fit(fitted_on, 1).expect("fitted");
            fitted.p_values(&fitted.score(further).expect("scores"))
        });
        let p: Vec<f64> = p.collect();
        let times = |level: f64| p.iter().filter(|p| **p <= level).count() as f64 / p.len() as f64 / level;
        println!("{name}: {:.2} under 0.1, {:.2} under 0.01", times(0.1), times(0.01));
        assert!(times(0.1) < 1.5 && times(0.01) < 2.5, "{name}");
    });
}

/// As above, with p-values from rows that were held out. The bound is that of chance: 10,000 rows, of fits that differ.
#[test]
fn crossed_p_values_of_further_rows_are_what_they_say() {
    const FITS: usize = 10;
    let mut random = Random::new(22, 0);
    let mut rows = |count| {
        let values = Array2::from_shape_simple_fn((count, 11), || random.normal());
        table(Array2::from_shape_fn((count, 10), |(row, column)| {
            values[(row, column)] + if column < 5 { values[(row, 10)] } else { 0.0 }
        }))
    };
    let drawn: Vec<(Table, Table)> = (0..FITS).map(|_| (rows(500), rows(1000))).collect();
    let groups: Vec<usize> = (0..500).map(|row| row / 5).collect();
    for name in ["robust-z", "mixture", "combined"] {
        let detector = Detector::named(name).expect("a detector");
        let p = drawn.iter().flat_map(|(fitted_on, further)| {
            let fitted = detector.fit_crossed(fitted_on, &groups, 1).expect("fitted");
            fitted.p_values(&fitted.score(further).expect("scores"))
        });
        let p: Vec<f64> = p.collect();
        let times = |level: f64| p.iter().filter(|p| **p <= level).count() as f64 / p.len() as f64 / level;
        println!("{name}: {:.2} under 0.1, {:.2} under 0.01", times(0.1), times(0.01));
        assert!(times(0.1) < 1.1 && times(0.01) < 1.4, "{name}");
    }
}
