//! Stories around the boundaries of the rules, one function per story.

use super::draft::{BEDS, DAY, Draft, INSTITUTIONS, ITEMS, ONE, Story, Value, YUAN};
use super::{refund_shapes, stay_shapes};

const HOUR: i64 = 3600;

/// Tells one story.
pub fn tell_one(story: &mut Story) {
    let shapes: [fn(&mut Story); 19] = [
        settled_twice,
        near_payments,
        exclusive_items,
        stay_shapes::bed_days,
        death,
        stay_shapes::readmissions,
        stay_shapes::readmissions,
        stay_shapes::bed_days,
        death,
        stay_shapes::overlapping,
        stay_shapes::beside_a_stay,
        stay_shapes::idle_stay,
        stay_shapes::shared_bed,
        stay_shapes::shared_bed,
        busy_day,
        large,
        burst,
        refund_shapes::refunds,
        refund_shapes::returns,
    ];
    let tell = story.dice.pick(&shapes);
    tell(story);
}

/// Records of every type with whatever collides.
pub fn soup(story: &mut Story, count: usize) {
    for _ in 0..count {
        let (visit, person, institution) = (story.any_visit(), story.person(), story.institution());
        let time = story.moment();
        match story.dice.below(9) {
            0 | 1 => {
                let med_type = story.dice.pick(&["11", "13", "14", "41", "21", "28", "99", "041"]);
                let fee = story.fee();
                story.settle(&visit, &person, &institution, med_type, time, fee);
            }
            2 | 3 => {
                let item = story.dice.pick(&ITEMS);
                let cnt = story.dice.pick(&[ONE, 2 * ONE, 5000, 0, -ONE]);
                let item_type = story.dice.pick(&[None, Some("01"), Some("1"), Some("09")]);
                let setl_id = story.dice.range(1, 16).to_string();
                let setl_id = story.dice.chance(50).then_some(setl_id.as_str());
                story.bill(&visit, &person, &institution, time, item, cnt, item_type, setl_id);
            }
            4 => {
                let bed = story.dice.pick(&BEDS);
                story.admit(&visit, &person, &institution, time).set_code("adm_bed", bed);
            }
            5 => {
                story.discharge(&visit, &person, &institution, time);
            }
            6 | 7 => story.check_presence(&visit, &person, &institution, time),
            _ => {
                let kind = story.dice.range(1, 4).to_string();
                let mut draft = Draft::new("inventory")
                    .with("fixmedins_code", &institution)
                    .with("fixmedins_bchno", "7")
                    .with("inv_data_type", &kind)
                    .with("med_list_codg", ITEMS[0]);
                draft.set_time("inv_time", time);
                draft.set("cnt", Value::Fixed(story.dice.range(-2, 2) * ONE, 4));
                story.records.push(draft);
            }
        }
    }
}

/// DUP-02: settlements of a visit around 24 h, with spans that just meet or just do not.
fn settled_twice(story: &mut Story) {
    let (visit, person, institution) = (story.new_visit(), story.person(), story.institution());
    let (begin, fee) = (story.moment(), story.fee());
    let first_day = begin.div_euclid(DAY);
    let offsets = [0, 1, HOUR, DAY - 1, DAY, DAY, DAY + 1, 2 * DAY, 2 * DAY + 1];
    for _ in 0..story.dice.range(2, 4) {
        let time = begin + story.dice.pick(&offsets);
        let day = time.div_euclid(DAY);
        let fee = if story.dice.chance(10) { fee + 1 } else { fee };
        story.settle(&visit, &person, &institution, "11", time, fee);
        let (chosen, with_flag) = (story.dice.below(7), story.dice.chance(12));
        let draft = story.last();
        match chosen {
            0 => draft.set_day("begndate", first_day.min(day)),
            1 => draft.set_day("enddate", day + 1),
            2 | 3 => {
                draft.set_day("begndate", first_day - 1);
                draft.set_day("enddate", first_day);
            }
            4 => {
                draft.set_day("begndate", first_day + 1);
                draft.set_day("enddate", first_day + 1);
            }
            _ => {}
        }
        if with_flag {
            draft.set_code("mid_setl_flag", "1");
        }
    }
}

/// DUP-03: equal amounts around 10 min with like and unlike items.
fn near_payments(story: &mut Story) {
    let (person, institution, fee) = (story.person(), story.institution(), story.fee().max(1));
    let mut time = story.moment();
    let mut visit = story.new_visit();
    let with_items = story.dice.chance(70);
    for _ in 0..story.dice.range(2, 4) {
        if story.dice.chance(85) {
            visit = story.new_visit();
        }
        let setl_id = story.settle(&visit, &person, &institution, "11", time, fee);
        // Of ten items, nine in common are exactly 0.9; of eleven in all, ten are enough.
        let items = match story.dice.below(if with_items { 6 } else { 1 }) {
            0 => &ITEMS[..0],
            1 | 2 => &ITEMS[..10],
            3 => &ITEMS[1..10],
            4 => &ITEMS[2..10],
            _ => &ITEMS[..11],
        };
        for item in items {
            story.bill(&visit, &person, &institution, time, item, ONE, Some("09"), Some(&setl_id));
        }
        time += story.dice.pick(&[0, 60, 599, 600, 600, 601, 1200]);
    }
}

/// DUP-04, DUP-05 and DUP-07: few items on both sides of midnight.
fn exclusive_items(story: &mut Story) {
    let (person, institution) = (story.person(), story.institution());
    let midnight = story.start + DAY * story.dice.range(1, 3);
    let visits = [story.new_visit(), story.new_visit()];
    for _ in 0..story.dice.range(3, 7) {
        let visit = story.dice.pick(&visits).clone();
        let time = midnight + story.dice.pick(&[-HOUR, -1, 0, 1, HOUR]);
        let item = story.dice.pick(&ITEMS[..6]);
        let cnt = story.dice.pick(&[ONE, ONE, 2 * ONE, 15_000, 15_001, 5000]);
        let setl_id = if story.dice.chance(40) {
            Some(story.settle(&visit, &person, &institution, "11", time, 1001))
        } else {
            None
        };
        let somebody = if story.dice.chance(10) { story.person() } else { person.clone() };
        story.bill(&visit, &somebody, &institution, time, item, cnt, None, setl_id.as_deref());
    }
}

/// IDN-01: care on the days after a death that registry, discharges or both state.
fn death(story: &mut Story) {
    let person = story.person();
    let day = story.start.div_euclid(DAY) + story.dice.range(0, 2);
    if story.dice.chance(50) {
        story.dies(&person, day);
    }
    for _ in 0..story.dice.range(0, 2) {
        let (visit, institution) = (story.new_visit(), story.institution());
        let stated = day + story.dice.pick(&[0, 0, 0, 1, -1]);
        if story.dice.chance(60) {
            story.admit(&visit, &person, &institution, (day - 1) * DAY);
        }
        let late = story.dice.range(0, 4);
        let discharge = story.discharge(&visit, &person, &institution, (day + late) * DAY);
        discharge.set_day("die_date", stated);
        discharge.set_code("dscg_way", "5");
    }
    for _ in 0..story.dice.range(1, 3) {
        let (visit, institution) = (story.any_visit(), story.institution());
        let care_day = day + story.dice.pick(&[0, 1, 1, 2, 2, 3]);
        let fee = story.fee();
        let edge = story.dice.pick(&[0, DAY - 1]);
        story.settle(&visit, &person, &institution, "14", care_day * DAY + edge, fee);
        if story.dice.chance(40) {
            let begin = care_day - story.dice.range(0, 2);
            story.last().set_day("begndate", begin);
        }
    }
}

/// VIS-01 and VIS-03: 3 to 9 visits around one day.
fn busy_day(story: &mut Story) {
    let person = story.person();
    let midnight = story.start + DAY * story.dice.range(0, 2);
    for _ in 0..story.dice.pick(&[3, 4, 4, 5, 8, 9]) {
        let visit = if story.dice.chance(90) { story.new_visit() } else { story.any_visit() };
        let institution = story.dice.pick(&INSTITUTIONS);
        let time = midnight + story.dice.pick(&[0, HOUR, 9 * HOUR, 10 * HOUR, DAY - 1, DAY]);
        let med_type = story.dice.pick(&["11", "41", "51", "x"]);
        let fee = story.fee();
        story.settle(&visit, &person, institution, med_type, time, fee);
    }
}

/// VIS-04: at the limits, one fen above, and at three times the limits.
fn large(story: &mut Story) {
    for _ in 0..story.dice.range(1, 3) {
        let (visit, person, institution) = (story.any_visit(), story.person(), story.institution());
        let limits = [("11", 5000), ("15", 5000), ("41", 2000), ("21", 100_000), ("13", 5000)];
        let (med_type, limit) = story.dice.pick(&limits);
        let fee = limit * YUAN * story.dice.pick(&[1, 1, 3]) + story.dice.range(-1, 1);
        let time = story.moment();
        story.settle(&visit, &person, &institution, med_type, time, fee);
    }
}

/// PHA-06: sales 20 s apart, sometimes 21 s, over midnight, with other business in between.
fn burst(story: &mut Story) {
    let institution = story.institution();
    let mut time = story.moment();
    let visits = [story.new_visit(), story.new_visit(), story.new_visit()];
    for _ in 0..story.dice.range(9, 13) {
        let (person, fee) = (story.person(), story.fee());
        let visit = story.dice.pick(&visits).clone();
        story.settle(&visit, &person, &institution, "41", time, fee);
        if story.dice.chance(8) {
            let med_type = story.dice.pick(&["11", "9929"]);
            let elsewhere = story.institution();
            story.settle(&visit, &person, &elsewhere, med_type, time + 7, fee);
        }
        time += if story.dice.chance(5) { 21 } else { story.dice.pick(&[20, 20, 20, 19, 0]) };
    }
}
