//! Stories about refunds, refund rows and deletes of one visit, whose details all are of the item
//! that nearly every world limits: whatever is netted or dies shows in an amount.

use super::draft::{DAY, Draft, ITEMS, ONE, Story, Value};
use super::mischief::{delete_near, refund_row_of, row_against};

/// Settlements of one amount, and refunds by name or by amount, of refunds too, with rows.
pub fn refunds(story: &mut Story) {
    let (visit, person, institution) = (story.new_visit(), story.person(), story.institution());
    let (begin, fee) = (story.moment(), story.fee().max(1250));
    let mut settlements: Vec<String> = Vec::new();
    for _ in 0..story.dice.range(2, 4) {
        let time = begin + story.dice.pick(&[0, 0, 1, 3600, DAY]);
        let somebody = if story.dice.chance(10) { story.person() } else { person.clone() };
        let setl_id = story.settle(&visit, &somebody, &institution, "41", time, fee);
        if story.dice.chance(15) {
            story.last().set_code("vali_flag", "0");
        }
        let cnt = story.dice.pick(&[ONE, 2 * ONE, 3 * ONE]);
        story.bill(&visit, &person, &institution, time, ITEMS[0], cnt, None, Some(&setl_id));
        settlements.push(setl_id);
    }
    for _ in 0..story.dice.range(1, 4) {
        let time = begin + story.dice.pick(&[-1, 0, 1, 3600, DAY, 2 * DAY]);
        let setl_id = story.settle(&visit, &person, &institution, "41", time, -fee);
        let named = story.dice.pick(&settlements);
        let by_name = story.dice.chance(40);
        let refund = story.last();
        refund.set_code("refd_setl_flag", "1");
        if by_name {
            refund.set_code("init_setl_id", &named);
        }
        if story.dice.chance(50) {
            let detail = any_detail(story, &visit);
            let row = row_against(story, &detail, -ONE / 2);
            story.records.push(row.with("setl_id", &setl_id));
        }
        // The next refund may name this one.
        settlements.push(setl_id);
    }
}

/// Details of one visit, settled or not, with refund rows of every kind and deletes.
pub fn returns(story: &mut Story) {
    let (visit, person, institution) = (story.new_visit(), story.person(), story.institution());
    let time = story.moment();
    let setl_id = story.settle(&visit, &person, &institution, "11", time, 3003);
    for _ in 0..story.dice.range(1, 3) {
        let setl_id = story.dice.chance(40).then_some(setl_id.as_str());
        let cnt = story.dice.pick(&[2 * ONE, 3 * ONE]);
        story.bill(&visit, &person, &institution, time, ITEMS[0], cnt, None, setl_id);
    }
    for _ in 0..story.dice.range(1, 4) {
        let detail = any_detail(story, &visit);
        if story.dice.chance(70) {
            refund_row_of(story, &detail);
        } else {
            let mut row = row_against(story, &detail, -ONE / 2);
            row.remove("setl_id");
            story.records.push(row);
        }
    }
    for _ in 0..story.dice.range(0, 2) {
        let detail = any_detail(story, &visit);
        delete_near(story, Some(detail));
    }
    // The settlement is refunded and settled anew, and the details move to the new one.
    if story.dice.chance(30) {
        let refund = story.settle(&visit, &person, &institution, "11", time + 60, -3003);
        let again = story.settle(&visit, &person, &institution, "11", time + 61, 3003);
        let moved = story.records.clone();
        for draft in moved.into_iter().filter(|draft| draft.kind == "fee_detail") {
            if draft.code("setl_id").as_ref() == Some(&setl_id) && story.dice.chance(70) {
                story.records.push(draft.with("setl_id", &again));
            }
        }
        let flag = |draft: &mut Draft| draft.set("refd_setl_flag", Value::Code("1".into()));
        let of_refund = |draft: &&mut Draft| draft.code("setl_id").as_ref() == Some(&refund);
        story.records.iter_mut().filter(of_refund).for_each(flag);
    }
}

fn any_detail(story: &mut Story, visit: &str) -> Draft {
    let of_visit = |draft: &&Draft| draft.kind == "fee_detail" && draft.code("mdtrt_id").as_deref() == Some(visit);
    let details: Vec<Draft> = story.records.iter().filter(of_visit).cloned().collect();
    story.dice.pick(&details)
}
