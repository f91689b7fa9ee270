//! Made-up words: real ones of several languages first, then syllables in each script.

use crate::rng::Rng;

/// All words in one piece of memory, found by rank.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary {
    text: String,
    /// Where each word ends.
    ends: Vec<u32>,
}

impl Vocabulary {
    pub fn new(words: u32, rng: &mut Rng) -> Vocabulary {
        let mut makers: Vec<Maker> = SCRIPTS.iter().map(|script| Maker::new(script, rng)).collect();
        let mut vocabulary = Vocabulary { text: String::new(), ends: Vec::with_capacity(words as usize) };
        for rank in 0..words as usize {
            makers[SCHEDULE[rank % SCHEDULE.len()]].write_next(&mut vocabulary.text);
            vocabulary.ends.push(vocabulary.text.len() as u32);
        }
        vocabulary
    }

    pub fn word(&self, rank: u32) -> &str {
        let rank = rank as usize;
        let start = rank.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[rank] as usize]
    }
}

/// A way of writing. A made-up word is two syllables or more, each an onset and a nucleus; no letter is in both
/// lists, so different syllables make different words.
struct Script {
    common: &'static [&'static str],
    onsets: &'static [&'static str],
    nuclei: &'static [&'static str],
}

/// The script of each rank, over and over.
const SCHEDULE: [usize; 24] = [
    LATIN, LATIN, LATIN, LATIN, 1, LATIN, LATIN, 2, LATIN, 3, LATIN, LATIN, 4, LATIN, 5, LATIN, 1, 6, LATIN,
    7, LATIN, 8, LATIN, 9,
];

const LATIN: usize = 0;

const SCRIPTS: [Script; 10] = [
    Script {
        common: &[
            "the", "of", "and", "to", "a", "in", "that", "it", "is", "was", "i", "for", "you", "be", "with",
            "on", "by", "not", "are", "from", "or", "have", "an", "they", "which", "one", "were", "all",
            "her", "she", "there", "would", "their", "we", "him", "been", "has", "when", "who", "will", "no",
            "more", "if", "out", "so", "can't", "don't", "it's", "l'eau", "e.g", "naïve", "straße", "être",
            "año", "über", "ﬁn", "İzmir",
        ],
        onsets: &[
            "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "br", "ch", "cl",
            "dr", "fl", "gr", "pl", "qu", "sh", "st", "th", "tr", "ç", "ñ",
        ],
        nuclei: &["a", "e", "i", "o", "u", "ai", "ea", "ee", "io", "ou", "é", "ö", "ü", "å"],
    },
    Script {
        common: &[
            "и",
            "в",
            "не",
            "на",
            "я",
            "что",
            "он",
            "с",
            "как",
            "это",
            "по",
            "но",
            "они",
            "мы",
            "её",
            "из-за",
        ],
        onsets: &[
            "б", "в", "г", "д", "ж", "з", "к", "л", "м", "н", "п", "р", "с", "т", "ф", "х", "ц", "ч", "ш",
            "ст",
        ],
        nuclei: &["а", "е", "и", "о", "у", "ы", "ю", "я", "ой", "ё"],
    },
    Script {
        common: &["και", "το", "η", "ο", "να", "του", "με", "από", "για", "είναι", "της", "λόγος", "ΐδιος"],
        onsets: &["β", "γ", "δ", "ζ", "θ", "κ", "λ", "μ", "ν", "ξ", "π", "ρ", "σ", "τ", "φ", "χ", "ψ", "στ"],
        nuclei: &["α", "ε", "η", "ι", "ο", "υ", "ω", "ά", "έ", "ου", "ας", "ος"],
    },
    Script {
        common: &[
            "1",
            "2",
            "3",
            "7",
            "10",
            "42",
            "100",
            "1984",
            "2026",
            "3.14",
            "1,000",
            "1,234,567",
            "٣٤",
            "½",
        ],
        onsets: &["1", "2", "3", "4", "5", "6", "7", "8", "9"],
        nuclei: &["0", "00", "0,0"],
    },
    Script {
        common: &["في", "من", "على", "أن", "إلى", "هذا", "لا", "ما", "كِتَاب", "الله"],
        onsets: &["ب", "ت", "ج", "ح", "د", "ر", "س", "ش", "ع", "ف", "ق", "ك", "ل", "م", "ن", "ه"],
        nuclei: &["ا", "و", "ي", "َ", "ِ"],
    },
    Script {
        common: &["של", "את", "לא", "על", "הוא", "זה", "כי", "צה״ל", "ג׳ירפה", "שָׁלוֹם"],
        onsets: &["ב", "ג", "ד", "ה", "ז", "ח", "ט", "כ", "ל", "מ", "נ", "ס", "פ", "ק", "ר", "ש", "ת"],
        nuclei: &["א", "ו", "י", "ע"],
    },
    Script {
        common: &["के", "में", "है", "की", "और", "से", "का", "को", "हिन्दी", "नहीं"],
        onsets: &[
            "क", "ख", "ग", "च", "ज", "ट", "ड", "त", "द", "न", "प", "ब", "म", "य", "र", "ल", "व", "श", "स",
            "ह",
        ],
        nuclei: &["ा", "ि", "ी", "ु", "ू", "े", "ो", "ं"],
    },
    Script {
        common: &["的", "是", "不", "我", "一", "有", "人", "这", "中国", "語"],
        onsets: &["天", "地", "水", "火", "木", "金", "土", "日", "月", "山", "川", "風", "雨", "花", "鳥"],
        nuclei: &["大", "小", "高", "新", "古", "東", "西", "南", "北", "上", "下", "𠀋"],
    },
    Script {
        common: &["は", "の", "に", "を", "カタカナ", "コンピューター", "ﾊﾝｶｸ", "ありがとう"],
        onsets: &["カ", "サ", "タ", "ナ", "ハ", "マ", "ラ", "キ", "シ", "チ", "ニ", "ミ", "リ", "か", "さ"],
        nuclei: &["ア", "イ", "ウ", "エ", "オ", "ン", "ー"],
    },
    Script {
        common: &["이", "그", "것", "나는", "한국어", "사람", "ไทย", "ภาษา"],
        onsets: &["가", "나", "다", "라", "마", "바", "사", "아", "자", "차", "카", "타", "파", "하"],
        nuclei: &["고", "노", "도", "로", "모", "보", "소", "오", "조", "는", "을", "이"],
    },
];

/// Writes the words of one script, the shortest first, in an order that the seed shuffles.
struct Maker {
    script: &'static Script,
    common_left: &'static [&'static str],
    syllables: u32,
    next: u64,
    /// Words of this many syllables.
    size: u64,
    step: u64,
    start: u64,
}

impl Maker {
    fn new(script: &'static Script, rng: &mut Rng) -> Maker {
        let start = rng.next_u64();
        let mut maker =
            Maker { script, common_left: script.common, syllables: 1, next: 0, size: 0, step: 0, start };
        maker.lengthen();
        maker
    }

    fn write_next(&mut self, text: &mut String) {
        if let Some((word, rest)) = self.common_left.split_first() {
            self.common_left = rest;
            text.push_str(word);
            return;
        }
        let start = text.len();
        loop {
            self.write_made_up(text);
            if !self.script.common.contains(&&text[start..]) {
                return;
            }
            text.truncate(start);
        }
    }

    fn write_made_up(&mut self, text: &mut String) {
        if self.next == self.size {
            self.lengthen();
        }
        // A step without a common divisor with the size visits every word once.
        let mut number = (u128::from(self.next) * u128::from(self.step) + u128::from(self.start))
            .rem_euclid(u128::from(self.size)) as u64;
        self.next += 1;
        let (onsets, nuclei) = (self.script.onsets, self.script.nuclei);
        for _ in 0..self.syllables {
            text.push_str(onsets[(number % onsets.len() as u64) as usize]);
            number /= onsets.len() as u64;
            text.push_str(nuclei[(number % nuclei.len() as u64) as usize]);
            number /= nuclei.len() as u64;
        }
    }

    fn lengthen(&mut self) {
        self.syllables += 1;
        self.next = 0;
        self.size = ((self.script.onsets.len() * self.script.nuclei.len()) as u64).pow(self.syllables);
        // The golden section spreads neighbours far apart.
        self.step = (self.size / 1_000 * 618).max(1);
        while greatest_common_divisor(self.step, self.size) != 1 {
            self.step += 1;
        }
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
