//! Rule sets for tests.
use fundwatch::record::*;
use fundwatch::record::value::*;
use fundwatch::rules::rule::*;
use fundwatch::rules::filter::*;
use fundwatch::live::stays::Stay;

pub fn rule_set(exclusive: &[(String, String, String)], limits: &[(String, String)], deaths: &std::collections::BTreeMap<String, String>, ids: &Ids) -> RuleSet {
    let code = |text: &str| Code(ids.codes.intern(text));
    let mut s = FilterSetBuilder::new::<Settlement>(ids);
    let mut d = FilterSetBuilder::new::<FeeDetail>(ids);
    let mut y = FilterSetBuilder::new::<Stay>(ids);
    let not_mid = s.add("mid_setl_flag IS DISTINCT FROM '1'").unwrap();
    let outp = s.add("med_class IN ('OUTPATIENT','CHRONIC_OUTPATIENT','EMERGENCY')").unwrap();
    let pha100 = s.add("med_class = 'PHARMACY' AND medfee_sumamt > 100").unwrap();
    let pha = s.add("med_class = 'PHARMACY'").unwrap();
    let bed = d.add("med_chrgitm_type = '01'").unwrap();
    let activity = d.add("med_chrgitm_type IS NULL OR med_chrgitm_type NOT IN ('01','02','07')").unwrap();
    let ex1 = y.add("dscg_way IN ('2','5') OR days_rinp_flag_31 = '1' OR begins_with(diagnosis, 'Z51','N18','O80','O82','C')").unwrap();
    let ex5 = y.add("dscg_way IN ('2','5')").unwrap();
    let mut pairs: [Map<Code, Vec<Code>>; 2] = Default::default();
    for (m, i, scope) in exclusive {
        let k = match scope.as_str() { "day" => 0, "visit" => 1, _ => continue };
        let v = pairs[k].entry(code(m)).or_default();
        if !v.contains(&code(i)) { v.push(code(i)); }
    }
    let mut lim: Map<Code, i64> = Map::default();
    for (item, l) in limits { let q = Quantity::parse(l.as_bytes()).unwrap().units(); lim.entry(code(item)).and_modify(|x| *x = (*x).min(q)).or_insert(q); }
    let mut classes = Classes::default();
    for (class, codes) in [("OUTPATIENT","11 12 16 9107"),("EMERGENCY","13 1301 120"),("CHRONIC_OUTPATIENT","14 140101 140104 140201 140401 15"),("PHARMACY","41 9929"),("INPATIENT","21 2101 2102 2105 210104 2114 23 24 25 26 27 29"),("TRAUMA","22 81"),("DAY_SURGERY","28"),("MATERNITY","51 52 5212"),("HOME","71"),("LONG_TERM_CARE","61"),("OTHER","9901 9903 9904")] {
        let n = CLASSES.iter().position(|c| *c == class).unwrap() as u8;
        for c in codes.split(' ') { classes.insert(code(c), n); }
    }
    let day = 86_400;
    let cls = |c: &str| CLASSES.iter().position(|x| *x == c).unwrap() as u8;
    let band = |f: &str, c, b, s| Band { figure: f.into(), comparison: c, bound: b, severity: s };
    use Severity::*; use Conclusion::*; use SubjectKind as K; use Comparison::*;
    let mk = |id: &str, det: Detection, result, sev: Severity, bands: Vec<Band>, amount, subject| Rule {
        identity: det.identities().iter().map(|s| s.to_string()).collect(),
        id: id.into(), version: "1".into(), name: Bilingual::default(), family: "x".into(), result, status: Status::Live, subject, detection: det,
        severity: SeverityBands { otherwise: sev, bands }, amount, message: Bilingual::default(), legal_basis: vec![],
    };
    let rules = vec![
        mk("DUP-02", Detection::Repeat(Repeat{filter:Some(not_mid), grouping: Grouping::VisitAnchored, within: day}), Violation, High, vec![], Amount::FundOfViolating, K::Visit),
        mk("DUP-03", Detection::Repeat(Repeat{filter:None, grouping: Grouping::PersonInstitutionChained{similarity:Some(9000)}, within: 600}), Suspicious, Medium, vec![], Amount::FundOfViolating, K::Person),
        mk("DUP-04", Detection::ExclusivePair(ExclusivePair{filter:None, scope: PairScope::PersonDay, pairs: pairs[0].clone()}), Violation, Medium, vec![], Amount::InscpOfViolating, K::Person),
        mk("DUP-05", Detection::ExclusivePair(ExclusivePair{filter:None, scope: PairScope::Visit, pairs: pairs[1].clone()}), Violation, Medium, vec![], Amount::InscpOfViolating, K::Visit),
        mk("DUP-07", Detection::QuantityLimit(QuantityLimit{filter:None, limit: Allowance::PersonDayItem(lim)}), Violation, Medium, vec![], Amount::Excess, K::Person),
        mk("CHG-01", Detection::QuantityLimit(QuantityLimit{filter:Some(bed), limit: Allowance::StayDays{tolerance: 10_000}}), Violation, Medium, vec![], Amount::Excess, K::Visit),
        mk("IDN-01", Detection::AfterDeath(AfterDeath{filter:None, grace:1}), Violation, Critical, vec![], Amount::FundOfViolating, K::Person),
        mk("STY-01", Detection::NextStay(NextStay{exempt_earlier:Some(ex1), gap_from:0, gap_to:15, same_diagnosis:Some(3), departments: Departments::Same}), Suspicious, Medium, vec![band("days_between", AtMost, Bound::Number(70_000), High)], Amount::FundOfVisit, K::Person),
        mk("STY-05", Detection::NextStay(NextStay{exempt_earlier:Some(ex5), gap_from:0, gap_to:1, same_diagnosis:None, departments: Departments::Different}), Suspicious, Medium, vec![], Amount::FundOfVisit, K::Person),
        mk("STY-06", Detection::Overlap(Overlap{key:OverlapKey::Person, tolerance: day}), Violation, High, vec![], Amount::FundOfVisit, K::Person),
        mk("STY-07", Detection::DuringStay(DuringStay{filter:Some(outp)}), Suspicious, Medium, vec![], Amount::FundOfViolating, K::Person),
        mk("STY-08", Detection::DuringStay(DuringStay{filter:Some(pha100)}), Suspicious, Low, vec![], Amount::FundOfViolating, K::Person),
        mk("STY-10", Detection::MissingActivity(MissingActivity{activity:Some(activity), days:3}), Suspicious, Medium, vec![band("longest_run", AtLeast, Bound::Number(70_000), High)], Amount::FundOfVisit, K::Visit),
        mk("STY-16", Detection::Overlap(Overlap{key:OverlapKey::Bed, tolerance: day}), Suspicious, High, vec![], Amount::None, K::Bed),
        mk("VIS-01", Detection::DistinctCount(DistinctCount{filter:None, what: Distinct::Visits, at_least:4}), Suspicious, Medium, vec![band("visits", AtLeast, Bound::Number(80_000), High)], Amount::FundOfViolating, K::Person),
        mk("VIS-03", Detection::DistinctCount(DistinctCount{filter:None, what: Distinct::Institutions, at_least:3}), Suspicious, Medium, vec![], Amount::None, K::Person),
        mk("VIS-04", Detection::Threshold(Threshold{filter:None, limits: vec![(cls("OUTPATIENT"),500_000),(cls("CHRONIC_OUTPATIENT"),500_000),(cls("PHARMACY"),200_000),(cls("INPATIENT"),10_000_000)]}), Suspicious, Low, vec![band("medfee_sumamt", Above, Bound::TimesLimit(3), High)], Amount::FundOfViolating, K::Person),
        mk("PHA-06", Detection::Run(Run{filter:Some(pha), pause:20, at_least:10}), Suspicious, High, vec![], Amount::FundOfViolating, K::Institution),
    ];
    RuleSet { rules, version: "x".into(), settlement_filters: s.finish(), detail_filters: d.finish(), stay_filters: y.finish(), day_items: Set::default(), classes,
        deaths: deaths.iter().filter_map(|(p, t)| Some((PersonId(ids.persons.intern(p)), Day::parse(t.as_bytes())?))).collect() }
}

/// The rules of the contract with the tables of a world.
pub fn of_tables(tables: &crate::reference::Tables, ids: &Ids) -> RuleSet {
    rule_set(&tables.exclusive, &tables.limits, &tables.deaths, ids)
}
