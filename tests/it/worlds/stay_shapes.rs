//! Stories around the boundaries of the rules on stays.

use super::draft::{BEDS, DAY, DEPARTMENTS, ONE, PERSONS, Story};

const HOUR: i64 = 3600;
const DIAGNOSES: [&str; 8] = ["I20.0", "I20.9", "I20.9", "I21", "I2", "N18.5", "C34", "心绞痛"];

/// CHG-01: bed days at the tolerance, just above and below.
pub fn bed_days(story: &mut Story) {
    let (visit, person, institution) = (story.new_visit(), story.person(), story.institution());
    let (begin, days) = (story.moment(), story.dice.range(1, 5));
    let end = (begin.div_euclid(DAY) + days - 1) * DAY + story.dice.pick(&[DAY - 1, DAY - 20]);
    story.admit(&visit, &person, &institution, begin);
    if !story.dice.chance(8) {
        story.discharge(&visit, &person, &institution, end);
    }
    let over = [0, ONE, ONE, ONE + 1, 12_345, 2 * ONE];
    let mut left = days * ONE + story.dice.pick(&over);
    let item_type = if story.dice.chance(10) { "1" } else { "01" };
    while left > 0 {
        let cnt = if story.dice.chance(40) { left } else { left.min(story.dice.range(1, 2) * ONE) };
        let time = begin + story.dice.range(0, 6) * DAY;
        story.bill(&visit, &person, &institution, time, "I4", cnt, Some(item_type), None);
        left -= cnt;
    }
}

/// STY-01 and STY-05: stays in a row with gaps of 0, 1, 7, 8, 15 and 16 days.
pub fn readmissions(story: &mut Story) {
    let (person, institution) = (story.person(), story.institution());
    let mut begin = story.moment();
    let diagnosis = story.dice.pick(&DIAGNOSES);
    // Some persons go back to the department they left, others to another one at once.
    let is_transfer = story.dice.chance(40);
    for _ in 0..story.dice.range(2, 4) {
        let visit = story.new_visit();
        let end = begin + story.dice.pick(&[0, HOUR, DAY, 2 * DAY + HOUR]);
        let bed = story.dice.pick(&BEDS);
        let astray = story.dice.chance(15);
        let (from, to) = (DEPARTMENTS[0], DEPARTMENTS[usize::from(is_transfer != astray)]);
        let (flagged, spoken) = (story.dice.chance(7), story.dice.chance(85));
        let other = story.dice.pick(&DIAGNOSES);
        let diagnosis = if story.dice.chance(80) { diagnosis } else { other };
        let admission = story.admit(&visit, &person, &institution, begin);
        admission.set_code("adm_bed", bed);
        if spoken {
            admission.set_code("adm_dept_codg", to);
        }
        admission.set_code("dscg_maindiag_code", diagnosis);
        if flagged {
            admission.set_code("days_rinp_flag_31", "1");
        }
        if story.dice.chance(92) {
            let way = story.dice.pick(&["1", "1", "1", "4", "2", "5", "05"]);
            let (with_way, with_diagnosis) = (story.dice.chance(70), story.dice.chance(15));
            let spoken = story.dice.chance(92);
            let discharge = story.discharge(&visit, &person, &institution, end);
            if spoken {
                discharge.set_code("dscg_dept_codg", from);
            }
            if with_way {
                discharge.set_code("dscg_way", way);
            }
            if with_diagnosis {
                discharge.set_code("dscg_maindiag_code", other);
            }
        }
        if story.dice.chance(60) {
            let fee = story.fee();
            story.settle(&visit, &person, &institution, "21", end, fee);
        }
        let gap = if is_transfer { story.dice.pick(&[0, 1, 1, 2]) } else { story.dice.pick(&[0, 1, 2, 7, 8, 15, 16]) };
        let clock = story.dice.pick(&[0, 8 * HOUR, DAY - 1]);
        begin = (end.div_euclid(DAY) + gap) * DAY + clock;
    }
}

/// Two stays that overlap by 24 h, a second more, or a second less; open ones last as known.
fn two_stays(story: &mut Story, persons: [&str; 2], institutions: [&str; 2], bed: Option<&str>) {
    let begin = story.moment();
    let length = story.dice.range(1, 4) * DAY + story.dice.pick(&[0, 1]);
    let overlap = story.dice.pick(&[DAY - 1, DAY, DAY, DAY + 1, DAY + 1, 2 * DAY, length + 1]);
    let second = begin + length - overlap;
    let times = [(begin, begin + length), (second, second + overlap + story.dice.pick(&[0, DAY]))];
    for index in 0..2 {
        let (visit, (begin, end)) = (story.new_visit(), times[index]);
        let (person, institution) = (persons[index], institutions[index]);
        let admission = story.admit(&visit, person, institution, begin);
        if let Some(bed) = bed {
            admission.set_code("adm_bed", bed);
        }
        match story.dice.below(4) {
            // Open, and known by a fee detail or a presence check to last until `end`.
            0 => {
                story.bill(&visit, person, institution, end, "D5", ONE, Some("03"), None);
            }
            1 => story.check_presence(&visit, person, institution, end),
            _ => {
                story.discharge(&visit, person, institution, end);
                if story.dice.chance(20) {
                    story.check_presence(&visit, person, institution, end + DAY);
                }
            }
        }
        if story.dice.chance(50) {
            let fee = story.fee();
            story.settle(&visit, person, institution, "21", end, fee);
        }
    }
}

/// STY-06: at the same or another institution.
pub fn overlapping(story: &mut Story) {
    let person = story.person();
    let institutions = [story.institution(), story.institution()];
    two_stays(story, [&person, &person], [&institutions[0], &institutions[1]], None);
}

/// STY-16: mostly of different persons in one bed.
pub fn shared_bed(story: &mut Story) {
    let first = story.dice.below(PERSONS.len());
    let other = (first + story.dice.below(PERSONS.len())) % PERSONS.len();
    let (bed, institution) = (story.dice.pick(&BEDS), story.institution());
    two_stays(story, [PERSONS[first], PERSONS[other]], [&institution, &institution], Some(bed));
}

/// STY-07 and STY-08: settlements on the first, the last and the inner days of a stay.
pub fn beside_a_stay(story: &mut Story) {
    let (visit, person, institution) = (story.new_visit(), story.person(), story.institution());
    let begin = story.moment();
    let first_day = begin.div_euclid(DAY);
    let days = story.dice.range(1, 4);
    let end = (first_day + days) * DAY + story.dice.pick(&[0, HOUR, DAY - 1]);
    story.admit(&visit, &person, &institution, begin);
    if story.dice.chance(95) {
        story.discharge(&visit, &person, &institution, end.max(begin));
    }
    for _ in 0..story.dice.range(1, 4) {
        let med_type = story.dice.pick(&["11", "140104", "1301", "41", "9929", "41", "51"]);
        let day = first_day + story.dice.pick(&[0, 1, 1, days - 1, days]);
        let time = day * DAY + story.dice.pick(&[0, 1, DAY - 1]);
        let fee = story.dice.pick(&[9999, 10_000, 10_001, 10_001]);
        let (visit, elsewhere) = (story.any_visit(), story.institution());
        story.settle(&visit, &person, &elsewhere, med_type, time, fee);
    }
}

/// STY-10: treatment on few days of a stay.
pub fn idle_stay(story: &mut Story) {
    let (visit, person, institution) = (story.new_visit(), story.person(), story.institution());
    let begin = story.moment();
    let days = story.dice.range(1, 8);
    let end = begin + days * DAY;
    story.admit(&visit, &person, &institution, begin);
    story.discharge(&visit, &person, &institution, end);
    for _ in 0..story.dice.range(0, 5) {
        let day = begin.div_euclid(DAY) + story.dice.range(0, days);
        let time = day * DAY + story.dice.pick(&[0, DAY - 1]);
        let item_type = story.dice.pick(&[Some("01"), Some("02"), Some("07"), Some("03"), Some("7"), None]);
        story.bill(&visit, &person, &institution, time, "D1", ONE, item_type, None);
    }
    if story.dice.chance(60) {
        let fee = story.fee();
        story.settle(&visit, &person, &institution, "21", end, fee);
    }
}
