//! What is billed in the city: the catalogue of items, and the knowledge about them that planted
//! frauds rely on.
//!
//! The items that a rule knows by code come first, under names; background traffic draws the others
//! by group. Service codes are those of the national catalogue's shape, drug codes are made up.

/// Charge class of an item, `med_chrgitm_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Bed,
    Consultation,
    Examination,
    Laboratory,
    Treatment,
    Operation,
    Nursing,
    Consumable,
    Western,
    Slice,
    Patent,
    Other,
}

/// All groups, in the order of [`Group::index`].
pub(super) const GROUPS: usize = 12;

impl Group {
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// `med_chrgitm_type`.
    pub(super) fn code(self) -> &'static str {
        ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "14"][self.index()]
    }

    /// `list_type`.
    pub(super) fn list_type(self) -> &'static str {
        match self {
            Group::Western | Group::Patent => "101",
            Group::Slice => "102",
            Group::Consumable => "301",
            _ => "201",
        }
    }

    pub(super) fn is_drug(self) -> bool {
        matches!(self, Group::Western | Group::Slice | Group::Patent)
    }
}

/// A catalogue item: code (drugs and consumables: the stub that [`full_code`] completes), name,
/// group, payment class 1 甲, 2 乙 or 3 丙, price in 1/10,000 yuan.
pub(super) struct Item {
    pub(super) stub: &'static str,
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) class: u8,
    pub(super) price: i64,
}

/// The `med_list_codg` of the item at `index`.
pub(super) fn full_code(index: usize) -> String {
    let item = &ITEMS[index];
    if item.stub.starts_with('0') {
        item.stub.to_owned()
    } else {
        format!("{}{:03}A00101{:02}{:05}", item.stub, 7 * index % 997, index % 10 + 1, 10_000 + 37 * index)
    }
}

pub(super) const BED_WARD: usize = 0;
/// A bed that no knowledge row names: planted stays use it, so that two of them on one day do not
/// break the daily limit of the ward bed.
pub(super) const BED_PLAIN: usize = 2;
pub(super) const CONSULT_INPATIENT: usize = 3;
pub(super) const CONSULT_OBSERVATION: usize = 4;
pub(super) const NURSING_1: usize = 5;
pub(super) const NURSING_2: usize = 6;
pub(super) const NURSING_3: usize = 7;
pub(super) const EMERGENCY_MONITOR: usize = 8;
pub(super) const HEATING: usize = 9;
pub(super) const AIR_CONDITIONING: usize = 10;
pub(super) const ECG_HOURS: usize = 11;
pub(super) const OXIMETRY_HOURS: usize = 12;
pub(super) const VENTILATOR_HOURS: usize = 13;
pub(super) const BARIUM_SWALLOW: usize = 14;
pub(super) const FLUOROSCOPY: usize = 15;
pub(super) const HYSTEROSCOPY: usize = 16;
pub(super) const CERVIX_BIOPSY: usize = 17;
pub(super) const DELIVERY: usize = 18;
pub(super) const FETAL_MONITOR: usize = 19;
/// The items from here on carry no knowledge row and are safe to bill any day, any number.
pub(super) const FIRST_FREE: usize = 20;

/// Pairs of items that exclude each other: main, included, scope. The default rows of
/// `rules/knowledge/exclusive_items.csv` must contain these, and no other pair of catalogue items.
pub const EXCLUSIVE_ITEMS: &[(&str, &str, &str)] = &[
    ("001201000030000", "001201000040000", "day"),
    ("001201000030000", "001201000050000", "day"),
    ("001201000040000", "001201000050000", "day"),
    ("001103000010000", "001109000010000", "day"),
    ("002101010020000", "002101010010200", "day"),
    ("003313060030000", "003112010080000", "visit"),
    ("003314000020000", "003112010260000", "visit"),
];

/// Most units of an item a day. The default rows of `rules/knowledge/daily_limits.csv` must contain
/// these, and no other catalogue item.
pub const DAILY_LIMITS: &[(&str, i64)] = &[
    ("001109000010000", 1),
    ("001109000030000", 1),
    ("001102000050000", 1),
    ("001102000040000", 1),
    ("001201000030000", 1),
    ("001201000040000", 1),
    ("001201000050000", 1),
    ("001107000010000", 1),
    ("001108000010000", 1),
    ("003107010220000", 24),
    ("003107010280000", 24),
    ("003106030010000", 24),
    ("003106030020000", 24),
    ("003110000110000", 24),
    ("003308030250000", 24),
    ("003205000090000", 24),
];

const fn item(stub: &'static str, name: &'static str, group: Group, class: u8, fen: i64) -> Item {
    Item { stub, name, group, class, price: fen * 100 }
}

/// A price with four decimals, in 1/10,000 yuan.
const fn fine(stub: &'static str, name: &'static str, group: Group, class: u8, price: i64) -> Item {
    Item { stub, name, group, class, price }
}

use Group::{
    Bed, Consultation, Consumable, Examination, Laboratory, Nursing, Operation, Other, Patent, Slice, Treatment,
    Western,
};

/// The catalogue.
pub(super) static ITEMS: &[Item] = &[
    item("001109000010000", "普通病房床位费", Bed, 1, 4500),
    item("001109000030000", "监护病房床位费", Bed, 1, 12000),
    item("001109000010300", "普通病房床位费(三人间)", Bed, 1, 3601),
    item("001102000050000", "住院诊查费", Consultation, 1, 2501),
    item("001102000040000", "门急诊留观诊查费", Consultation, 1, 2001),
    item("001201000030000", "Ⅰ级护理", Nursing, 1, 4000),
    item("001201000040000", "Ⅱ级护理", Nursing, 1, 2600),
    item("001201000050000", "Ⅲ级护理", Nursing, 1, 1700),
    item("001103000010000", "急诊监护费", Treatment, 1, 12000),
    item("001107000010000", "病房取暖费", Other, 3, 800),
    item("001108000010000", "病房空调降温费", Other, 3, 800),
    item("003107010220000", "心电监测", Examination, 1, 401),
    item("003107010280000", "血氧饱和度监测", Examination, 1, 301),
    item("003106030010000", "呼吸机辅助呼吸", Treatment, 1, 1207),
    item("002101010020000", "食管钡餐透视", Examination, 1, 6500),
    item("002101010010200", "普通透视(腹)", Examination, 1, 1503),
    item("003313060030000", "宫腔镜检查", Operation, 1, 42000),
    item("003112010080000", "宫颈活检术", Operation, 1, 11005),
    item("003314000020000", "单胎顺产接生", Operation, 1, 96000),
    item("003112010260000", "胎心监测", Examination, 1, 2007),
    // From here on: FIRST_FREE.
    item("001102000010000", "普通门诊诊察费", Consultation, 1, 1000),
    item("001102000020000", "专家门诊诊察费", Consultation, 2, 2500),
    item("002501010150000", "血细胞分析(五分类)", Laboratory, 1, 1800),
    item("002501020350000", "尿液分析", Laboratory, 1, 800),
    item("002501030010000", "粪便常规", Laboratory, 1, 500),
    item("002503050010000", "肝功能测定(干化学)", Laboratory, 1, 3500),
    item("002503070010000", "肾功能三项", Laboratory, 1, 2400),
    item("002503060010000", "心肌酶谱测定", Laboratory, 2, 6200),
    item("002503040010000", "电解质四项", Laboratory, 1, 2000),
    item("002503030010000", "血脂四项", Laboratory, 1, 3200),
    item("002503020010000", "葡萄糖测定", Laboratory, 1, 500),
    item("002504030010000", "C反应蛋白测定", Laboratory, 1, 2300),
    item("002504040110000", "甲胎蛋白测定", Laboratory, 2, 4000),
    item("002502030250000", "凝血四项", Laboratory, 1, 4500),
    item("002201000010000", "常规心电图检查", Examination, 1, 2000),
    item("002101020150000", "胸部数字化摄影", Examination, 1, 7000),
    item("002103000010000", "胸部CT平扫", Examination, 2, 21000),
    item("002103000020000", "颅脑CT平扫", Examination, 2, 18000),
    item("002102000010000", "膝关节磁共振平扫", Examination, 2, 42000),
    item("002203020020000", "腹部彩色多普勒超声", Examination, 1, 11000),
    item("002206000010000", "心脏彩色多普勒超声", Examination, 1, 15500),
    item("002203010010000", "甲状腺超声检查", Examination, 1, 8500),
    item("003109020050000", "电子胃镜检查", Examination, 2, 24000),
    item("001204000060000", "静脉输液", Treatment, 1, 900),
    item("001204000020000", "静脉注射", Treatment, 1, 450),
    item("001204000010000", "肌肉注射", Treatment, 1, 250),
    item("001206000020000", "换药(中)", Treatment, 1, 1900),
    item("001203000010000", "吸氧", Treatment, 1, 350),
    item("001207000010000", "雾化吸入", Treatment, 1, 1100),
    item("004300000050000", "普通针刺", Treatment, 1, 3200),
    item("004500000020000", "推拿治疗(颈椎)", Treatment, 1, 5500),
    item("003401000180000", "中频脉冲电治疗", Treatment, 1, 2600),
    item("003310080010000", "阑尾切除术", Operation, 1, 110000),
    item("003311020020000", "胆囊切除术", Operation, 1, 168000),
    item("003315050200000", "桡骨骨折切开复位内固定术", Operation, 1, 142000),
    item("003315120010000", "膝关节镜手术", Operation, 2, 186000),
    item("C020101", "一次性使用输液器", Consumable, 2, 320),
    item("C020104", "静脉留置针", Consumable, 2, 1850),
    item("C140308", "医用无菌敷贴", Consumable, 3, 460),
    item("C090211", "可吸收性外科缝线", Consumable, 2, 6800),
    item("C010512", "一次性使用吸氧管", Consumable, 2, 780),
    fine("XC08CAA", "苯磺酸氨氯地平片", Western, 1, 41_800),
    item("XC09CAX", "缬沙坦胶囊", Western, 1, 1268),
    item("XC09CAE", "厄贝沙坦氢氯噻嗪片", Western, 1, 1945),
    item("XC07ABM", "酒石酸美托洛尔片", Western, 1, 876),
    item("XC10AAA", "阿托伐他汀钙片", Western, 1, 1562),
    item("XC10AAR", "瑞舒伐他汀钙片", Western, 1, 1120),
    item("XB01ACA", "阿司匹林肠溶片", Western, 1, 1380),
    item("XB01ACL", "硫酸氢氯吡格雷片", Western, 1, 2230),
    fine("XA10BAE", "盐酸二甲双胍片", Western, 1, 65_250),
    item("XA10BBG", "格列美脲片", Western, 1, 980),
    item("XA10BFA", "阿卡波糖片", Western, 1, 1290),
    item("XA10BKD", "达格列净片", Western, 2, 6160),
    item("XA10ABG", "甘精胰岛素注射液", Western, 2, 9950),
    item("XA02BCA", "奥美拉唑肠溶胶囊", Western, 1, 845),
    item("XA02BCR", "雷贝拉唑钠肠溶片", Western, 2, 2460),
    item("XA03FAM", "枸橼酸莫沙必利片", Western, 2, 1834),
    item("XA07BCM", "蒙脱石散", Western, 1, 1160),
    item("XJ01CAA", "阿莫西林胶囊", Western, 1, 990),
    item("XJ01DCF", "头孢呋辛酯片", Western, 1, 1430),
    item("XJ01DDQ", "注射用头孢曲松钠", Western, 1, 560),
    item("XJ01FAA", "阿奇霉素片", Western, 1, 1275),
    item("XJ01MAL", "左氧氟沙星片", Western, 1, 1015),
    item("XJ05AHO", "磷酸奥司他韦胶囊", Western, 2, 4980),
    fine("XN02BEP", "对乙酰氨基酚片", Western, 1, 23_333),
    item("XM01AEB", "布洛芬缓释胶囊", Western, 1, 1490),
    item("XR05CBA", "盐酸氨溴索口服溶液", Western, 1, 1360),
    item("XR03AKB", "布地奈德福莫特罗吸入粉雾剂", Western, 2, 18840),
    item("XR06AXL", "氯雷他定片", Western, 1, 1118),
    item("XR03DCM", "孟鲁司特钠片", Western, 1, 2090),
    item("XC01DAI", "单硝酸异山梨酯缓释片", Western, 1, 1725),
    item("XN06DXD", "盐酸多奈哌齐片", Western, 2, 4470),
    item("XN05BAA", "阿普唑仑片", Western, 1, 640),
    item("XH02ABP", "醋酸泼尼松片", Western, 1, 520),
    item("XM04AAF", "非布司他片", Western, 2, 2880),
    item("XM05BAA", "阿仑膦酸钠片", Western, 2, 3660),
    item("XG04CAT", "盐酸坦索罗辛缓释胶囊", Western, 1, 2310),
    item("XB05BBN", "氯化钠注射液", Western, 1, 310),
    item("XB05BAG", "葡萄糖注射液", Western, 1, 330),
    item("XB05XAK", "氯化钾注射液", Western, 1, 95),
    item("XL01BCC", "卡培他滨片", Western, 2, 24680),
    item("ZA01BAX", "连花清瘟胶囊", Patent, 1, 1472),
    item("ZA01BAG", "感冒灵颗粒", Patent, 2, 1650),
    item("ZA03AAH", "藿香正气口服液", Patent, 1, 1390),
    item("ZA06CAZ", "急支糖浆", Patent, 1, 1785),
    item("ZA12HAD", "复方丹参滴丸", Patent, 1, 2780),
    item("ZA12GAX", "血府逐瘀胶囊", Patent, 1, 2960),
    item("ZA12ADY", "银杏叶片", Patent, 1, 1985),
    item("ZA09CAL", "六味地黄丸", Patent, 1, 2240),
    item("ZA16CAY", "云南白药气雾剂", Patent, 2, 3950),
    item("ZA04GAS", "三九胃泰颗粒", Patent, 1, 1520),
    item("ZA05AAB", "板蓝根颗粒", Patent, 1, 1040),
    item("ZD03AAQ", "强力枇杷露", Patent, 1, 1870),
    fine("T000100", "黄芪", Slice, 1, 1_650),
    fine("T000171", "当归", Slice, 1, 2_430),
    fine("T000218", "茯苓", Slice, 1, 1_120),
    fine("T000316", "白术(炒)", Slice, 1, 1_980),
    fine("T000405", "甘草", Slice, 1, 965),
    fine("T000522", "川芎", Slice, 1, 1_340),
    fine("T000617", "党参", Slice, 1, 2_785),
    fine("T000733", "陈皮", Slice, 1, 640),
];

/// Indices of the free items of each group.
pub(super) fn free_items() -> [Vec<u16>; GROUPS] {
    let mut groups: [Vec<u16>; GROUPS] = Default::default();
    for (index, item) in ITEMS.iter().enumerate().skip(FIRST_FREE) {
        groups[item.group.index()].push(index as u16);
    }
    groups
}

/// A department: `bilg_dept_codg`, name, whether it operates, and its diagnoses.
pub(super) struct Department {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) operates: bool,
    pub(super) diagnoses: &'static [(&'static str, &'static str)],
}

const fn department(
    code: &'static str,
    name: &'static str,
    operates: bool,
    diagnoses: &'static [(&'static str, &'static str)],
) -> Department {
    Department { code, name, operates, diagnoses }
}

pub(super) const GENERAL: u8 = 0;
pub(super) const RESPIRATORY: u8 = 1;
pub(super) const GASTRO: u8 = 2;
pub(super) const CARDIOLOGY: u8 = 3;
pub(super) const NEUROLOGY: u8 = 5;
pub(super) const SURGERY: u8 = 6;
pub(super) const OBSTETRICS: u8 = 8;
pub(super) const PAEDIATRICS: u8 = 9;
pub(super) const ONCOLOGY: u8 = 10;
pub(super) const EMERGENCY: u8 = 13;

/// The departments. Every diagnosis of one differs in its first three characters from the others.
pub(super) static DEPARTMENTS: &[Department] = &[
    department(
        "A02",
        "全科医疗科",
        false,
        &[("J06.900", "急性上呼吸道感染"), ("R51.x00", "头痛"), ("K30.x00", "功能性消化不良")],
    ),
    department(
        "A03.01",
        "呼吸内科",
        false,
        &[("J18.900", "肺炎"), ("J44.100", "慢性阻塞性肺疾病急性加重"), ("J20.900", "急性支气管炎")],
    ),
    department("A03.02", "消化内科", false, &[("K29.500", "慢性胃炎"), ("K25.900", "胃溃疡"), ("K76.000", "脂肪肝")]),
    department(
        "A03.04",
        "心血管内科",
        false,
        &[("I10.x05", "高血压3级"), ("I25.103", "冠状动脉粥样硬化性心脏病"), ("I50.900", "心力衰竭")],
    ),
    department(
        "A03.07",
        "内分泌科",
        false,
        &[("E11.900", "2型糖尿病"), ("E05.900", "甲状腺功能亢进症"), ("E78.500", "高脂血症")],
    ),
    department(
        "A03.03",
        "神经内科",
        false,
        &[("I63.900", "脑梗死"), ("G45.000", "椎-基底动脉综合征"), ("H81.100", "良性阵发性眩晕")],
    ),
    department(
        "A04.01",
        "普通外科",
        true,
        &[("K35.800", "急性阑尾炎"), ("K80.100", "胆囊结石伴胆囊炎"), ("L02.900", "皮肤脓肿")],
    ),
    department(
        "A04.03",
        "骨科",
        true,
        &[("S52.500", "桡骨下端骨折"), ("M17.900", "膝关节病"), ("M51.202", "腰椎间盘突出")],
    ),
    department(
        "A05",
        "妇产科",
        false,
        &[("N76.000", "急性阴道炎"), ("D25.900", "子宫平滑肌瘤"), ("N84.000", "子宫内膜息肉")],
    ),
    department(
        "A07",
        "儿科",
        false,
        &[("J03.900", "急性扁桃体炎"), ("A09.900", "胃肠炎"), ("J21.900", "急性细支气管炎")],
    ),
    department(
        "A19",
        "肿瘤科",
        false,
        &[("C34.900", "支气管或肺恶性肿瘤"), ("C50.900", "乳房恶性肿瘤"), ("Z51.103", "恶性肿瘤术后化疗")],
    ),
    department(
        "A21",
        "康复医学科",
        false,
        &[("M54.500", "下背痛"), ("I69.300", "脑梗死后遗症"), ("M75.000", "肩周炎")],
    ),
    department("A50", "中医科", false, &[("M47.800", "颈椎病"), ("G47.000", "失眠症"), ("N95.100", "绝经期综合征")]),
    department("A20", "急诊医学科", false, &[("R50.900", "发热"), ("R10.400", "腹痛"), ("S01.900", "头部开放性伤口")]),
];

/// A registered chronic disease of a person: department and diagnosis.
pub(super) const CHRONIC: [(u8, u8); 6] =
    [(CARDIOLOGY, 0), (4, 0), (CARDIOLOGY, 1), (RESPIRATORY, 1), (NEUROLOGY, 0), (ONCOLOGY, 0)];
