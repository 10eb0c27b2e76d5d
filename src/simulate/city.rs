//! The city: who lives there, where care is given, and what of both changes with time.
//!
//! Memory is that of the persons and the beds; nothing grows with simulated days. The mutable parts
//! ([`Person::busy_until`], [`Place::next_free`], [`Place::beds`] …) are what keeps ordinary traffic
//! free of findings: a person is in one stay at a time and rests between stays, a bed has one
//! patient, a pharmacy's counter takes one customer in 20 seconds.

use super::Institutions;
use super::calendar::DAY;
use super::catalogue::{CHRONIC, DEPARTMENTS, GROUPS, ITEMS, free_items, full_code};
use super::random::Rng;
use super::scheme::Scheme;

/// A day far after every simulation.
pub(super) const NEVER: i32 = i32::MAX;

/// An insured person.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) born: i32,
    pub(super) female: bool,
    /// Employee scheme (310) or resident scheme (390).
    pub(super) employee: bool,
    pub(super) area: u8,
    /// Index into [`CHRONIC`] + 1; 0 for none.
    pub(super) chronic: u8,
    /// How often care is sought, of 255.
    pub(super) appetite: u8,
    pub(super) clinic: u16,
    pub(super) hospital: u16,
    pub(super) store: u16,
    /// Last day on which the person is out of reach of ordinary visits: in a stay, in a planted
    /// case, or dead.
    pub(super) busy_until: i32,
    /// First day on which a new stay may begin.
    pub(super) next_stay: i32,
    /// Day of the latest visit.
    pub(super) visit_day: i32,
}

impl Person {
    /// Whole years at `day`.
    pub(super) fn age(&self, day: i64) -> i64 {
        (day - i64::from(self.born)) * 100 / 36_525
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Level {
    Primary,
    Secondary,
    Tertiary,
    Pharmacy,
}

/// An institution.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) code: [u8; 12],
    pub(super) name: String,
    pub(super) level: Level,
    pub(super) hosp_lv: &'static str,
    pub(super) area: u8,
    /// Doctors of each department.
    pub(super) doctors: u8,
    pub(super) longitude: f64,
    pub(super) latitude: f64,
    /// Prices here, in 1/1000 of the catalogue's.
    pub(super) price_level: i64,
    /// Writes money as text, as some systems do.
    pub(super) quoted: bool,
    /// Uses the central tables' field names.
    pub(super) central: bool,
    /// For each bed the time when it becomes free.
    pub(super) beds: Vec<i64>,
    /// First time at which the counter can take the next customer.
    pub(super) next_free: i64,
    /// The members of a record that say where it comes from.
    pub(super) head: Vec<u8>,
}

impl Place {
    pub(super) fn code_text(&self) -> String {
        String::from_utf8_lossy(&self.code).into_owned()
    }

    /// Takes a bed that is free at `now` and keeps it until `until`.
    pub(super) fn take_bed(&mut self, rng: &mut Rng, now: i64, until: i64) -> Option<u16> {
        let count = self.beds.len();
        let first = rng.index(count);
        let bed = (0..count).map(|step| (first + step) % count).find(|&bed| self.beds[bed] <= now)?;
        self.beds[bed] = until;
        Some(bed as u16)
    }
}

/// A person whose death the registry knows before the simulation begins.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) person: u32,
    pub(super) die_day: i64,
    pub(super) used_day: i64,
}

/// The city.
#[derive(Debug)]
pub(super) struct City {
    pub(super) persons: Vec<Person>,
    pub(super) places: Vec<Place>,
    /// Ends of the ranges of `places`: tertiary, secondary, primary, then pharmacies.
    pub(super) bounds: [usize; 4],
    pub(super) dead: Vec<Dead>,
    pub(super) schemes: Vec<Scheme>,
    /// The members of a fee detail that say what was billed, for each item.
    pub(super) item_text: Vec<Vec<u8>>,
    pub(super) item_code: Vec<String>,
    pub(super) free: [Vec<u16>; GROUPS],
}

/// The areas are of a prefix that no real county has.
pub(super) fn area_code(area: u8) -> [u8; 6] {
    [b'3', b'7', b'9', b'9', b'0', b'1' + area % 6]
}

/// `psn_no`: area and a scrambled serial number. The multiplier has no factor in common with
/// 10^12, so that no two persons share a number.
pub(super) fn person_no(index: u32, area: u8) -> [u8; 18] {
    let mut text = [b'0'; 18];
    text[..6].copy_from_slice(&area_code(area));
    let mut rest = (u64::from(index) * 738_612_347_891 % 1_000_000_000_000 + 90_071_992_547) % 1_000_000_000_000;
    for at in (6..18).rev() {
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

pub(super) fn bed_code(bed: u16) -> String {
    format!("W{:02}-{:02}", bed / 40 + 1, bed % 40 + 1)
}

/// `bilg_dr_codg`: letter, institution, department, number.
pub(super) fn doctor_code(place: &Place, department: u8, doctor: u8) -> [u8; 16] {
    let mut code = *b"D000000000000000";
    code[1..12].copy_from_slice(&place.code[1..]);
    code[12] = b'0' + department / 10;
    code[13] = b'0' + department % 10;
    code[14] = b'0' + doctor / 10;
    code[15] = b'0' + doctor % 10;
    code
}

impl City {
    /// Founds a city of `persons` whose first simulated day is `start`.
    pub(super) fn found(persons: u32, institutions: Option<Institutions>, seed: u64, start: i64) -> City {
        let mut rng = Rng::new(seed ^ 0x6369_7479);
        let (places, bounds) = build_places(persons as usize, institutions, &mut rng);
        let mut city = City {
            persons: Vec::with_capacity(persons as usize),
            places,
            bounds,
            dead: Vec::new(),
            schemes: Vec::new(),
            item_text: (0..ITEMS.len()).map(item_text).collect(),
            item_code: (0..ITEMS.len()).map(full_code).collect(),
            free: free_items(),
        };
        for _ in 0..persons {
            let person = city.draw_person(&mut rng, start);
            city.persons.push(person);
        }
        let deaths = if persons < 20 { 0 } else { 6 + persons / 2_000 };
        for _ in 0..deaths {
            let person = rng.index(city.persons.len());
            if city.persons[person].busy_until == NEVER {
                continue;
            }
            city.persons[person].busy_until = NEVER;
            let die_day = start - rng.between(3, 400);
            city.persons[person].born = city.persons[person].born.min((die_day - 20_000) as i32);
            city.dead.push(Dead { person: person as u32, die_day, used_day: i64::MIN });
        }
        city
    }

    fn draw_person(&self, rng: &mut Rng, start: i64) -> Person {
        let age = match rng.below(1000) {
            0..160 => rng.between(0, 14),
            160..780 => rng.between(15, 59),
            780..965 => rng.between(60, 79),
            _ => rng.between(80, 96),
        };
        let ill = match age {
            0..=34 => 15,
            35..=49 => 90,
            50..=64 => 300,
            _ => 560,
        };
        let chronic = if rng.chance(ill) { [1, 1, 1, 2, 2, 3, 4, 5, 6][rng.index(9)] } else { 0 };
        let appetite: u64 = match age {
            0..=5 => 110,
            6..=17 => 60,
            18..=49 => 55,
            50..=64 => 80,
            _ => 120,
        };
        let appetite = appetite + if chronic > 0 { 90 } else { 0 } + rng.below(40);
        let [tertiary, secondary, primary, all] = self.bounds;
        Person {
            born: (start - age * 365 - age / 4 - rng.between(0, 364)) as i32,
            female: rng.chance(488),
            employee: age >= 20 && rng.chance(if age < 60 { 520 } else { 380 }),
            area: rng.below(6) as u8,
            chronic,
            appetite: appetite.min(255) as u8,
            clinic: (secondary + rng.index(primary - secondary)) as u16,
            hospital: (tertiary + rng.index(secondary - tertiary)) as u16,
            store: (primary + rng.index(all - primary)) as u16,
            busy_until: i32::MIN,
            next_stay: i32::MIN,
            visit_day: i32::MIN,
        }
    }

    /// Hospitals with many beds: tertiary and secondary ones.
    pub(super) fn hospitals(&self) -> std::ops::Range<usize> {
        0..self.bounds[1]
    }

    pub(super) fn pharmacies(&self) -> std::ops::Range<usize> {
        self.bounds[2]..self.bounds[3]
    }

    /// Pharmacies whose counters planted bursts of sales may block; other planted sales go to the
    /// rest, so that they do not lengthen a burst.
    pub(super) fn burst_pharmacies(&self) -> std::ops::Range<usize> {
        let range = self.pharmacies();
        range.end - range.len().div_ceil(3)..range.end
    }

    pub(super) fn quiet_pharmacies(&self) -> std::ops::Range<usize> {
        self.bounds[2]..self.burst_pharmacies().start
    }

    /// Department and diagnosis of the person's chronic disease.
    pub(super) fn chronic(&self, person: &Person) -> Option<(u8, u8)> {
        CHRONIC.get(usize::from(person.chronic).checked_sub(1)?).copied()
    }

    /// An item price at a place, in 1/10,000 yuan, whole fen where the catalogue has whole fen.
    pub(super) fn price(&self, item: usize, place: u16) -> i64 {
        let price = ITEMS[item].price * self.places[usize::from(place)].price_level / 1000;
        if ITEMS[item].price % 100 == 0 { price / 100 * 100 } else { price }
    }
}

const QUARTERS: [&str; 12] =
    ["东湖", "西苑", "南桥", "北辰", "城关", "新河", "凤山", "青石", "柳林", "望江", "金沙", "梅岭"];
const BRANDS: [&str; 6] = ["益民", "康安", "仁和堂", "百草", "同泰", "惠生"];

/// As many institutions as so many persons have.
fn usual_institutions(persons: usize) -> [usize; 4] {
    [
        (persons / 400_000).clamp(2, 5_000),
        (persons / 60_000 + 1).clamp(3, 10_000),
        (persons / 4_000).clamp(4, 20_000),
        (persons / 4_000).clamp(6, 25_000),
    ]
}

fn build_places(persons: usize, institutions: Option<Institutions>, rng: &mut Rng) -> (Vec<Place>, [usize; 4]) {
    let [tertiary, secondary, primary, pharmacies] = institutions.map_or_else(
        || usual_institutions(persons),
        |Institutions { tertiary, secondary, primary, pharmacies }| {
            [tertiary, secondary, primary, pharmacies].map(|count| usize::from(count.max(1)))
        },
    );
    let bounds =
        [tertiary, tertiary + secondary, tertiary + secondary + primary, tertiary + secondary + primary + pharmacies];
    // About 7 beds for 1,000 persons.
    let beds = |share: usize, count: usize| (persons * share / 1_000_000 / count).clamp(60, 4_000);
    let mut places = Vec::with_capacity(bounds[3]);
    for index in 0..bounds[3] {
        let (level, hosp_lv, doctors, bed_count, price_level, title) = if index < bounds[0] {
            (Level::Tertiary, ["02", "03"][index % 2], 6, beds(2_600, tertiary), 1150, "人民医院")
        } else if index < bounds[1] {
            (Level::Secondary, ["05", "06"][index % 2], 4, beds(3_300, secondary), 1000, "医院")
        } else if index < bounds[2] {
            (Level::Primary, ["08", "09", "10"][index % 3], 2, 0, 900, "社区卫生服务中心")
        } else {
            (Level::Pharmacy, "11", 1, 0, 1050, "大药房")
        };
        let letter = if level == Level::Pharmacy { b'P' } else { b'H' };
        let area = rng.below(6) as u8;
        let mut code = *b"H00000000000";
        code[0] = letter;
        code[1..7].copy_from_slice(&area_code(area));
        let mut rest = index + 1;
        for at in (7..12).rev() {
            code[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let quarter = QUARTERS[index % QUARTERS.len()];
        let name = match level {
            Level::Tertiary => format!("云溪市第{}{title}", index + 1),
            Level::Secondary => format!("云溪市{quarter}{title}{}", index),
            Level::Primary => format!("{quarter}街道{title}{}", index),
            Level::Pharmacy => format!("{}{title}{quarter}{}店", BRANDS[index % BRANDS.len()], index),
        };
        let mut head = Vec::with_capacity(160);
        head.extend_from_slice(b",\"fixmedins_code\":\"");
        head.extend_from_slice(&code);
        head.extend_from_slice(b"\",\"fixmedins_name\":\"");
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b"\",\"hosp_lv\":\"");
        head.extend_from_slice(hosp_lv.as_bytes());
        head.extend_from_slice(b"\",\"mdtrtarea_admvs\":\"");
        head.extend_from_slice(&area_code(area));
        head.push(b'"');
        places.push(Place {
            code,
            name,
            level,
            hosp_lv,
            area,
            doctors,
            longitude: 118.2 + f64::from(area) * 0.11 + rng.unit() * 0.1,
            latitude: 36.4 + f64::from(area) * 0.07 + rng.unit() * 0.1,
            price_level,
            quoted: rng.chance(250),
            central: rng.chance(120),
            beds: vec![i64::MIN; bed_count],
            next_free: i64::MIN,
            head,
        });
    }
    (places, bounds)
}

fn item_text(index: usize) -> Vec<u8> {
    let item = &ITEMS[index];
    format!(
        ",\"med_list_codg\":\"{}\",\"medins_list_codg\":\"{}{:05}\",\"medins_list_name\":\"{}\",\"med_chrgitm_type\":\"{}\",\
         \"chrgitm_lv\":\"{}\",\"list_type\":\"{}\"",
        full_code(index),
        if item.group.is_drug() { "YP" } else { "ZL" },
        10_000 + index,
        item.name,
        item.group.code(),
        item.class,
        item.group.list_type(),
    )
    .into_bytes()
}

/// Start of a day, as a time.
pub(super) fn midnight(day: i64) -> i64 {
    day * DAY
}

/// Department names for the registry of doctors.
pub(super) fn department_name(department: usize) -> (&'static str, &'static str) {
    (DEPARTMENTS[department].code, DEPARTMENTS[department].name)
}
