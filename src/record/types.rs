//! The records of the contract, section 1, as types. One table a record: its fields in alphabetical order of
//! their interface names, each with its kind, its longest text, whether it must be there, and the name that
//! the central tables give it.

use super::field::{
    CheckId, Code, Field, Flag, InstitutionId, PersonId, Refusal, Serial, SettlementId, VisitId, pack_number,
    unpack_number,
};
use super::intern::Ids;
use super::json::Raw;
use super::marks::Marks;
use super::renumber::Renumber;
use super::value::{Day, Money, Price, Quantity, Time};
use arrow::array::ArrayRef;

/// Every name that may mean something in a record.
macro_rules! names {
    ($($name:ident)*) => {
        /// The names that are looked for in a record's JSON.
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Name { type_, $($name,)* }

        /// The texts of all names, by number.
        pub const NAMES: &[&str] = &["type", $(stringify!($name),)*];
        const ALL: &[Name] = &[Name::type_, $(Name::$name,)*];

        impl Name {
            /// The name of a number below the length of [`NAMES`].
            pub fn of(number: usize) -> Self {
                ALL[number]
            }
        }
    };
}

names! {
    fee_details msgid op before after payload ts_ms
    acct_pay adm_bed adm_dept_codg adm_way approved_leave atddr_no balc begndate begntime bilg_dept_codg
    bilg_dr_code bilg_dr_codg bkkp_sn brdy cash_payamt check_id check_time check_type chrg_bchno chrgitm_lv cnt
    days_rinp_flag_31 det_item_fee_sumamt device_no die_date dise_codg drord_no drug_trac_codg dscg_bed
    dscg_dept_codg dscg_maindiag_code dscg_way enddate endtime expy_end fee_ocur_time feedetl_sn fixmedins_bchno
    fixmedins_code fund_pay_sumamt gend hosp_lv init_feedetl_sn init_setl_id inscp_amt inscp_scp_amt
    insuplc_admdvs insutype inv_chg_type inv_data_type inv_time list_type manu_lotnum mdtrt_id mdtrtarea_admvs
    med_chrgitm_type med_list_codg med_type medfee_sumamt medins_list_codg medins_list_name method mid_setl_flag
    passed pay_loc prd_days pric psn_cash_pay psn_no psn_part_amt psn_pay refd_setl_flag rxno score setl_id
    setl_time setl_type spler_name threshold trdn_flag updt_time vali_flag
}

/// The raw values of one JSON object, by name. Reused from object to object: `present` says which count.
pub struct Values<'a> {
    present: u128,
    slots: Box<[Raw<'a>]>,
}

impl Default for Values<'_> {
    fn default() -> Self {
        Self { present: 0, slots: vec![Raw::Null; NAMES.len()].into_boxed_slice() }
    }
}

impl<'a> Values<'a> {
    /// Forgets all values.
    pub fn clear(&mut self) {
        self.present = 0;
    }

    /// Notes a value; a later one of the same name replaces it.
    #[inline]
    pub fn set(&mut self, name: Name, value: Raw<'a>) {
        let bit = 1_u128 << name as u32;
        if value.is_absent() {
            self.present &= !bit;
        } else {
            self.present |= bit;
            self.slots[name as usize] = value;
        }
    }

    /// The value of a name; `None` where it is missing, null or empty.
    #[inline]
    pub fn get(&self, name: Name) -> Option<Raw<'a>> {
        (self.present >> name as u32 & 1 != 0).then(|| self.slots[name as usize])
    }
}

/// A field that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField {
    /// Its interface name.
    pub field: &'static str,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// What all records can do; each is a plain row of fields.
pub trait Record: Copy + PartialEq + 'static {
    /// The value of `type`.
    const TYPE: &'static str;
    /// All fields absent.
    const ABSENT: Self;

    /// Reads the fields of a JSON object. Required fields may still be absent.
    ///
    /// # Errors
    /// The first malformed field.
    fn read(values: &Values<'_>, ids: &Ids) -> Result<Self, BadField>;

    /// The first required field that is absent.
    fn missing(&self) -> Option<&'static str>;

    /// One bit for each field that differs from `before`; low bits for those that often do.
    fn changes(&self, before: &Self) -> u64;

    /// Packs the fields that are set in `changes`.
    fn pack_changes(&self, changes: u64, before: &Self, out: &mut Vec<u8>);

    /// Unpacks what [`Record::pack_changes`] packed after the same row.
    fn unpack_changes(changes: u64, before: &Self, packed: &mut &[u8]) -> Self;

    /// Packs the row as its difference from `before`.
    fn pack(&self, before: &Self, out: &mut Vec<u8>) {
        let changes = self.changes(before);
        pack_number(changes, out);
        self.pack_changes(changes, before, out);
    }

    /// Unpacks what [`Record::pack`] packed after the same row.
    fn unpack(before: &Self, packed: &mut &[u8]) -> Self {
        let changes = unpack_number(packed);
        Self::unpack_changes(changes, before, packed)
    }

    /// The content: names and canonical texts of the fields that are there, by name.
    fn content(&self, ids: &Ids) -> Vec<(&'static str, String)>;

    /// Appends the content, in bytes that are the same in every process.
    fn say(&self, ids: &Ids, out: &mut Vec<u8>);

    /// How many fields are there.
    fn fields(&self) -> u32;

    /// When this version was made: `updt_time`.
    fn updated(&self) -> Time;

    /// Whether `vali_flag` leaves it valid.
    fn is_valid(&self, ids: &Ids) -> bool;

    /// A column of many rows, for SQL expressions; `None` where the record has no such field.
    fn column(rows: &mut dyn Iterator<Item = &Self>, name: &str, ids: &Ids) -> Option<ArrayRef>;

    /// The id in a field of codes; `None` where the field is not one or not there to be known by id.
    fn code(&self, name: &str) -> Option<u32>;

    /// The interface names of all fields.
    fn names() -> &'static [&'static str];

    /// Marks the ids that it holds.
    fn mark(&self, marks: &mut Marks);

    /// The row with the ids that its texts have here.
    fn renumber(&self, numbers: &Renumber<'_>) -> Self;

    /// How rows are packed: the fields in their order, each with its kind and its bit.
    fn layout() -> Vec<PackedField>;

    /// Unpacks one field, by its place among [`Record::names`].
    fn unpack_field(&mut self, field: usize, before: &Self, packed: &mut &[u8]);

    /// When what it tells of happened; absent for deletes and cancels.
    fn event_time(&self) -> Time;
}

/// A field of packed rows, as it is written down beside rows that outlive the program.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackedField {
    /// Its interface name.
    pub name: String,
    /// Its kind, a word.
    pub kind: String,
    /// Its bit among [`Record::changes`].
    pub bit: u32,
}

/// How to unpack rows that may be of another version of the program. All kinds of fields pack into one number, so
/// that a field which is gone can be passed over.
#[derive(Debug, Default)]
pub struct Layout {
    /// `None`: as this version packs. Else by field in the order of the rows: the bit, and the field's place here.
    fields: Option<Vec<(u32, Option<usize>)>>,
}

impl Layout {
    /// The layout of rows whose fields were written down.
    ///
    /// # Errors
    /// A field is of another kind here: its name.
    pub fn of<R: Record>(fields: &[PackedField]) -> Result<Self, String> {
        let ours = R::layout();
        if fields == ours {
            return Ok(Self::default());
        }
        let place = |field: &PackedField| match ours.iter().position(|our| our.name == field.name) {
            Some(place) if ours[place].kind != field.kind => Err(format!("{}.{}", R::TYPE, field.name)),
            place => Ok((field.bit, place)),
        };
        Ok(Self { fields: Some(fields.iter().map(place).collect::<Result<_, _>>()?) })
    }

    /// Unpacks the fields that are set in `changes`.
    pub fn unpack_changes<R: Record>(&self, changes: u64, before: &R, packed: &mut &[u8]) -> R {
        let Some(fields) = &self.fields else {
            return R::unpack_changes(changes, before, packed);
        };
        let mut record = *before;
        for (bit, place) in fields {
            if changes >> bit & 1 != 0 {
                match place {
                    Some(place) => record.unpack_field(*place, before, packed),
                    None => drop(unpack_number(packed)),
                }
            }
        }
        record
    }

    /// Unpacks a row that was packed on its own.
    pub fn unpack<R: Record>(&self, packed: &mut &[u8]) -> R {
        let changes = unpack_number(packed);
        self.unpack_changes(changes, &R::ABSENT, packed)
    }
}

/// The longest text a field may have, in characters, where it is no code: never reached.
const ANY: usize = usize::MAX;

/// Places for fields: those that often change first, so that their bits share a byte.
const fn places<const N: usize>(fields: [&str; N], often: &[&str]) -> [u32; N] {
    let mut places = [u32::MAX; N];
    let mut next = 0;
    while next < often.len() {
        let mut field = 0;
        while !same(fields[field], often[next]) {
            field += 1;
        }
        places[field] = next as u32;
        next += 1;
    }
    let mut field = 0;
    while field < N {
        if places[field] == u32::MAX {
            places[field] = next as u32;
            next += 1;
        }
        field += 1;
    }
    places
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

macro_rules! record {
    (@required required $value:expr, $name:expr) => { if $value { return Some($name); } };
    (@required optional $value:expr, $name:expr) => {};
    (@alias $values:ident $name:ident) => { $values.get(Name::$name) };
    (@alias $values:ident $name:ident $alias:ident) => {
        $values.get(Name::$name).or_else(|| $values.get(Name::$alias))
    };
    (
        $(#[$doc:meta])* $Type:ident = $tag:literal $(at $time:ident)? $(often $($often:ident)+)? {
            $($field:ident: $Kind:ident $longest:tt $need:ident $(or $alias:ident)?;)*
        }
    ) => {
        $(#[$doc])*
        #[allow(missing_docs)]
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub struct $Type { $(pub $field: $Kind,)* }

        impl $Type {
            /// Where each field stands among the bits of [`Record::changes`].
            const PLACES: [u32; [$(stringify!($field)),*].len()] =
                places([$(stringify!($field)),*], &[$($(stringify!($often)),+)?]);
        }

        impl Record for $Type {
            const TYPE: &'static str = $tag;
            const ABSENT: Self = Self { $($field: $Kind::ABSENT,)* };

            fn read(values: &Values<'_>, ids: &Ids) -> Result<Self, BadField> {
                let mut record = Self::ABSENT;
                $(
                    if let Some(raw) = record!(@alias values $field $($alias)?) {
                        record.$field = <$Kind as Field>::read(raw, $longest, ids)
                            .map_err(|refusal| BadField { field: stringify!($field), refusal })?;
                    }
                )*
                Ok(record)
            }

            fn missing(&self) -> Option<&'static str> {
                $(record!(@required $need self.$field == <$Kind as Field>::ABSENT, stringify!($field));)*
                None
            }

            fn changes(&self, before: &Self) -> u64 {
                let (mut changes, mut field) = (0, 0);
                $(
                    changes |= u64::from(self.$field != before.$field) << Self::PLACES[field];
                    field += 1;
                )*
                let _ = field;
                changes
            }

            fn pack_changes(&self, changes: u64, before: &Self, out: &mut Vec<u8>) {
                let mut field = 0;
                $(
                    if changes >> Self::PLACES[field] & 1 != 0 {
                        self.$field.pack(before.$field, out);
                    }
                    field += 1;
                )*
                let _ = field;
            }

            fn unpack_changes(changes: u64, before: &Self, packed: &mut &[u8]) -> Self {
                let (mut record, mut field) = (*before, 0);
                $(
                    if changes >> Self::PLACES[field] & 1 != 0 {
                        record.$field = <$Kind as Field>::unpack(before.$field, packed);
                    }
                    field += 1;
                )*
                let _ = field;
                record
            }

            fn content(&self, ids: &Ids) -> Vec<(&'static str, String)> {
                let mut content = Vec::new();
                $(
                    if self.$field != <$Kind as Field>::ABSENT {
                        content.push((stringify!($field), Field::text(self.$field, ids)));
                    }
                )*
                content
            }

            fn say(&self, ids: &Ids, out: &mut Vec<u8>) {
                $(
                    if self.$field != <$Kind as Field>::ABSENT {
                        out.extend_from_slice(concat!(stringify!($field), ":").as_bytes());
                        Field::say(self.$field, ids, out);
                    }
                )*
            }

            fn fields(&self) -> u32 {
                let mut fields = 0;
                $(fields += u32::from(self.$field != <$Kind as Field>::ABSENT);)*
                fields
            }

            fn updated(&self) -> Time {
                self.updt_time
            }

            fn is_valid(&self, ids: &Ids) -> bool {
                self.vali_flag == Code::ABSENT || self.vali_flag != ids.zero()
            }

            fn column(
                rows: &mut dyn Iterator<Item = &Self>, name: &str, ids: &Ids,
            ) -> Option<ArrayRef> {
                match name {
                    $(stringify!($field) => {
                        Some(<$Kind as Field>::column(&mut rows.map(|row| row.$field), ids))
                    })*
                    _ => None,
                }
            }

            fn code(&self, name: &str) -> Option<u32> {
                match name {
                    $(stringify!($field) => Field::code(self.$field),)*
                    _ => None,
                }
            }

            fn names() -> &'static [&'static str] {
                &[$(stringify!($field),)*]
            }

            fn mark(&self, marks: &mut Marks) {
                $(Field::mark(self.$field, marks);)*
            }

            fn renumber(&self, numbers: &Renumber<'_>) -> Self {
                Self { $($field: Field::renumber(self.$field, numbers),)* }
            }

            fn layout() -> Vec<PackedField> {
                let fields = [$((stringify!($field), stringify!($Kind))),*].into_iter().zip(Self::PLACES);
                fields
                    .map(|((name, kind), bit)| PackedField { name: name.into(), kind: kind.into(), bit })
                    .collect()
            }

            fn unpack_field(&mut self, field: usize, before: &Self, packed: &mut &[u8]) {
                let mut number = 0;
                $(
                    if number == field {
                        self.$field = <$Kind as Field>::unpack(before.$field, packed);
                    }
                    number += 1;
                )*
                let _ = number;
            }

            fn event_time(&self) -> Time {
                record!(@time self $($time)?)
            }
        }
    };
    (@time $record:ident $time:ident) => { $record.$time };
    (@time $record:ident) => { Time::ABSENT };
}

record! {
    /// A settlement of a visit, or the refund of one.
    Settlement = "settlement" at setl_time {
        acct_pay: Money ANY optional;
        balc: Money ANY optional;
        begndate: Day ANY optional;
        brdy: Day ANY optional;
        dise_codg: Code 100 optional;
        enddate: Day ANY optional;
        fixmedins_code: InstitutionId 30 required;
        fund_pay_sumamt: Money ANY required;
        gend: Code 6 optional;
        hosp_lv: Code 6 optional;
        init_setl_id: SettlementId 30 optional;
        inscp_scp_amt: Money ANY optional or inscp_amt;
        insuplc_admdvs: Code 6 optional;
        insutype: Code 6 required;
        mdtrt_id: VisitId 30 required;
        mdtrtarea_admvs: Code 6 optional;
        med_type: Code 6 required;
        medfee_sumamt: Money ANY required;
        mid_setl_flag: Code 3 optional;
        pay_loc: Code 6 optional;
        psn_cash_pay: Money ANY optional or cash_payamt;
        psn_no: PersonId 30 required;
        psn_part_amt: Money ANY optional or psn_pay;
        refd_setl_flag: Code 3 optional;
        setl_id: SettlementId 30 required;
        setl_time: Time ANY required;
        setl_type: Code 6 optional;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// A line of a bill.
    FeeDetail = "fee_detail" at fee_ocur_time often cnt fee_ocur_time inscp_scp_amt prd_days rxno {
        bilg_dept_codg: Code 30 optional;
        bilg_dr_codg: Code 30 optional or bilg_dr_code;
        chrg_bchno: Serial 30 optional;
        chrgitm_lv: Code 3 optional;
        cnt: Quantity ANY required;
        det_item_fee_sumamt: Money ANY required;
        drord_no: Serial 30 optional;
        drug_trac_codg: Code 100 optional;
        fee_ocur_time: Time ANY required;
        feedetl_sn: Serial 30 required or bkkp_sn;
        fixmedins_code: InstitutionId 30 required;
        init_feedetl_sn: Serial 30 optional;
        inscp_scp_amt: Money ANY optional or inscp_amt;
        list_type: Code 6 optional;
        mdtrt_id: VisitId 30 required;
        med_chrgitm_type: Code 6 optional;
        med_list_codg: Code 50 required;
        med_type: Code 6 optional;
        medins_list_codg: Code 150 optional;
        medins_list_name: Code 200 optional;
        prd_days: Quantity ANY optional;
        pric: Price ANY required;
        psn_no: PersonId 30 required;
        rxno: Serial 40 optional;
        setl_id: SettlementId 30 optional;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// Takes out unsettled details of a visit.
    FeeDetailDelete = "fee_detail_delete" {
        chrg_bchno: Serial 30 optional;
        feedetl_sn: Serial 30 optional or bkkp_sn;
        mdtrt_id: VisitId 30 required;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// The begin of a stay.
    Admission = "admission" at begntime {
        adm_bed: Code 30 optional;
        adm_dept_codg: Code 30 optional;
        adm_way: Code 3 optional;
        atddr_no: Code 30 optional;
        begntime: Time ANY required;
        days_rinp_flag_31: Code 3 optional;
        dscg_maindiag_code: Code 20 optional;
        fixmedins_code: InstitutionId 30 required;
        insutype: Code 6 optional;
        mdtrt_id: VisitId 30 required;
        med_type: Code 6 required;
        psn_no: PersonId 30 required;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// The end of a stay.
    Discharge = "discharge" at endtime {
        die_date: Day ANY optional;
        dscg_bed: Code 30 optional;
        dscg_dept_codg: Code 30 optional;
        dscg_maindiag_code: Code 20 optional;
        dscg_way: Code 3 optional;
        endtime: Time ANY required;
        fixmedins_code: InstitutionId 30 required;
        mdtrt_id: VisitId 30 required;
        psn_no: PersonId 30 required;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// Takes out a stay and its discharge.
    AdmissionCancel = "admission_cancel" {
        mdtrt_id: VisitId 30 required;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// Takes out a discharge: the stay goes on.
    DischargeCancel = "discharge_cancel" {
        mdtrt_id: VisitId 30 required;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// A check that a patient is where the records say.
    Presence = "presence" at check_time {
        approved_leave: Flag ANY optional;
        check_id: CheckId 30 required;
        check_time: Time ANY required;
        check_type: Code 100 required;
        device_no: Code 100 optional;
        fixmedins_code: InstitutionId 30 required;
        mdtrt_id: VisitId 30 required;
        method: Code 100 optional;
        passed: Flag ANY required;
        psn_no: PersonId 30 required;
        score: Quantity ANY optional;
        threshold: Quantity ANY optional;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

record! {
    /// A movement of stock.
    Inventory = "inventory" at inv_time {
        cnt: Quantity ANY required;
        drug_trac_codg: Code 100 optional;
        expy_end: Day ANY optional;
        fixmedins_bchno: Serial 30 required;
        fixmedins_code: InstitutionId 30 required;
        inv_chg_type: Code 6 optional;
        inv_data_type: Code 100 required;
        inv_time: Time ANY required;
        manu_lotnum: Code 100 optional;
        med_list_codg: Code 50 required;
        pric: Price ANY optional;
        psn_no: PersonId 30 optional;
        setl_id: SettlementId 30 optional;
        spler_name: Code 200 optional;
        trdn_flag: Code 3 optional;
        updt_time: Time ANY optional;
        vali_flag: Code 3 optional;
    }
}

impl FeeDetail {
    /// The part within the fund's scope: `inscp_scp_amt`, or the whole amount where that is missing. In fen.
    pub fn inscp(&self) -> i64 {
        self.inscp_scp_amt.get().unwrap_or_else(|| self.det_item_fee_sumamt.units())
    }
}

impl Settlement {
    /// Whether it is a refund (contract, section 1, point 4; valid or not).
    pub fn is_refund(&self, ids: &Ids) -> bool {
        self.refd_setl_flag == ids.one()
    }

    /// The day care began: `begndate`, or the day of the settlement.
    pub fn first_day(&self) -> Day {
        self.begndate.get().unwrap_or_else(|| self.setl_time.day())
    }

    /// The day care ended: `enddate`, or the day of the settlement.
    pub fn last_day(&self) -> Day {
        self.enddate.get().unwrap_or_else(|| self.setl_time.day())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_in_the_order_of_their_names() {
        fn sorted<R: Record>() {
            assert!(R::names().is_sorted(), "{}: content is compared by name", R::TYPE);
            assert!(R::names().len() < 64);
        }
        sorted::<Settlement>();
        sorted::<FeeDetail>();
        sorted::<FeeDetailDelete>();
        sorted::<Admission>();
        sorted::<Discharge>();
        sorted::<AdmissionCancel>();
        sorted::<DischargeCancel>();
        sorted::<Presence>();
        sorted::<Inventory>();
        assert!(NAMES.len() <= 128);
    }

    #[test]
    fn rows_of_another_version_are_read() {
        // That version had a field that is gone, lacked one that is new, and gave its bits in another order.
        let ours = Discharge::layout();
        let mut theirs: Vec<PackedField> = ours.iter().filter(|field| field.name != "dscg_bed").cloned().collect();
        theirs.insert(1, PackedField { name: "colour".to_owned(), kind: "Code".to_owned(), bit: 0 });
        for (bit, field) in theirs.iter_mut().rev().enumerate() {
            field.bit = bit as u32;
        }
        let row = Discharge {
            dscg_way: Code(300),
            endtime: Time(1_000_000),
            fixmedins_code: InstitutionId(7),
            mdtrt_id: VisitId(8),
            psn_no: PersonId(9),
            updt_time: Time(-5),
            ..Discharge::ABSENT
        };
        let (mut changes, mut fields) = (0_u64, Vec::new());
        for field in &theirs {
            let mut one = Vec::new();
            match field.name.as_str() {
                "colour" => pack_number(77, &mut one),
                "dscg_way" => row.dscg_way.pack(Code(0), &mut one),
                "endtime" => row.endtime.pack(Time::ABSENT, &mut one),
                "fixmedins_code" => row.fixmedins_code.pack(InstitutionId(0), &mut one),
                "mdtrt_id" => row.mdtrt_id.pack(VisitId(0), &mut one),
                "psn_no" => row.psn_no.pack(PersonId(0), &mut one),
                "updt_time" => row.updt_time.pack(Time::ABSENT, &mut one),
                _ => continue,
            }
            changes |= 1 << field.bit;
            fields.extend(one);
        }
        let mut packed = Vec::new();
        pack_number(changes, &mut packed);
        packed.extend(fields);
        let layout = Layout::of::<Discharge>(&theirs).expect("no field is of another kind");
        let mut rest = packed.as_slice();
        assert_eq!(layout.unpack::<Discharge>(&mut rest), row);
        assert!(rest.is_empty());
        theirs[3].kind = "Serial".to_owned();
        let field = format!("discharge.{}", theirs[3].name);
        assert_eq!(Layout::of::<Discharge>(&theirs).expect_err("of another kind"), field);
    }
}
