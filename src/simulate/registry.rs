//! The registry of the city as files: persons, institutions, doctors, items.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::Simulator;
use super::calendar::date_bytes;
use super::catalogue::{DEPARTMENTS, ITEMS};
use super::city::{Level, department_name, doctor_code, person_no};

fn date_text(day: i64) -> String {
    String::from_utf8_lossy(&date_bytes(day)).into_owned()
}

impl Simulator {
    /// Writes `persons.csv`, `institutions.csv`, `doctors.csv` and `items.csv` into `dir`, in the form
    /// that `--registry` reads. Prices are in yuan. Deaths are those known when the simulation
    /// begins.
    pub fn write_registry(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        let city = &self.city;
        let mut file = BufWriter::new(File::create(dir.join("persons.csv"))?);
        writeln!(file, "psn_no,gend,brdy,die_date")?;
        let mut deaths = city.dead.iter().map(|dead| (dead.person, dead.die_day)).collect::<Vec<_>>();
        deaths.sort_unstable();
        for (index, person) in city.persons.iter().enumerate() {
            let number = person_no(index as u32, person.area);
            let died = deaths
                .binary_search_by_key(&(index as u32), |&(person, _)| person)
                .map_or_else(|_| String::new(), |at| date_text(deaths[at].1));
            file.write_all(&number)?;
            writeln!(file, ",{},{},{died}", if person.female { 2 } else { 1 }, date_text(i64::from(person.born)))?;
        }
        file.flush()?;

        let mut file = BufWriter::new(File::create(dir.join("institutions.csv"))?);
        writeln!(file, "fixmedins_code,fixmedins_name,fixmedins_type,hosp_lv,aprv_bed_cnt,longitude,latitude")?;
        for place in &city.places {
            let kind = if place.level == Level::Pharmacy { 2 } else { 1 };
            writeln!(
                file,
                "{},{},{kind},{},{},{:.6},{:.6}",
                place.code_text(),
                place.name,
                place.hosp_lv,
                place.beds.len(),
                place.longitude,
                place.latitude
            )?;
        }
        file.flush()?;

        let mut file = BufWriter::new(File::create(dir.join("doctors.csv"))?);
        writeln!(file, "dr_codg,fixmedins_code,dept_codg,dept_name")?;
        for place in city.places.iter().filter(|place| place.level != Level::Pharmacy) {
            for department in 0..DEPARTMENTS.len() {
                let (code, name) = department_name(department);
                for doctor in 0..place.doctors {
                    file.write_all(&doctor_code(place, department as u8, doctor))?;
                    writeln!(file, ",{},{code},{name}", place.code_text())?;
                }
            }
        }
        file.flush()?;

        let mut file = BufWriter::new(File::create(dir.join("items.csv"))?);
        writeln!(file, "med_list_codg,name,list_type,med_chrgitm_type,chrgitm_lv,pric")?;
        for (item, code) in ITEMS.iter().zip(&city.item_code) {
            let (yuan, rest) = (item.price / 10_000, item.price % 10_000);
            let (name, group) = (item.name, item.group);
            writeln!(file, "{code},{name},{},{},{},{yuan}.{rest:04}", group.list_type(), group.code(), item.class)?;
        }
        file.flush()
    }
}
