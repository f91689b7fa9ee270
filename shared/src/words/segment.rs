//! Word boundaries of UAX #29, decided in one pass with a few characters of memory.
//!
//! The rules are those of section 4.1.1 of the annex, named WB3 to WB999 as there.

use icu_properties::props::{ExtendedPictographic, WordBreak};
use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed,
};

pub(super) static CLASSES: CodePointMapDataBorrowed<'static, WordBreak> =
    CodePointMapData::<WordBreak>::new();
pub(super) static PICTOGRAPHS: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<ExtendedPictographic>();

/// Calls `word` with every segment of `text` that holds a letter or a number, as it stands there.
pub(super) fn unicode_words<'a>(text: &'a str, mut word: impl FnMut(&'a str)) {
    segments(text, |segment, is_word| {
        if is_word {
            word(segment);
        }
    });
}

/// Calls `each` with every segment of `text`, and whether it holds a letter or a number.
pub(super) fn segments<'a>(text: &'a str, mut each: impl FnMut(&'a str, bool)) {
    let mut context = Context::default();
    let (mut start, mut is_word) = (0, false);
    for (at, character) in text.char_indices() {
        let class = CLASSES.get(character);
        if context.breaks_before(character, class, &text[at..]) {
            each(&text[start..at], is_word);
            (start, is_word) = (at, false);
        }
        is_word |= character.is_alphanumeric();
        context.advance(class);
    }
    if start < text.len() {
        each(&text[start..], is_word);
    }
}

/// What the rules may look back at.
#[derive(Default)]
struct Context {
    /// The character before, whatever it is (WB3 to WB4).
    neighbour: Option<WordBreak>,
    /// The last two characters that WB4 does not hide, nearest first.
    left: Option<WordBreak>,
    second_left: Option<WordBreak>,
    /// Whether `left` ends an odd number of regional indicators (WB15, WB16).
    half_flag: bool,
}

impl Context {
    fn advance(&mut self, class: WordBreak) {
        self.neighbour = Some(class);
        let hidden = is_hidden(class) && self.left.is_some_and(|left| !is_newline(left));
        if hidden {
            return;
        }
        self.half_flag = class == WordBreak::RegionalIndicator && !self.half_flag;
        self.second_left = self.left.replace(class);
    }

    /// Whether there is a boundary before `character`, the first one of `rest`.
    fn breaks_before(&self, character: char, class: WordBreak, rest: &str) -> bool {
        let (Some(neighbour), Some(left)) = (self.neighbour, self.left) else {
            return false; // WB1 opens a segment, but there is none to close.
        };
        if is_newline(neighbour) || is_newline(class) {
            return !(neighbour == WordBreak::CR && class == WordBreak::LF); // WB3, WB3a, WB3b
        }
        if is_hidden(class) {
            return false; // WB4
        }
        if neighbour == WordBreak::ZWJ && PICTOGRAPHS.contains(character) {
            return false; // WB3c
        }
        if neighbour == WordBreak::WSegSpace && class == WordBreak::WSegSpace {
            return false; // WB3d
        }
        !(joins(left, class)
            || (left == WordBreak::RegionalIndicator && class == left && self.half_flag)
            || self.ends_infix(left, class)
            || opens_infix(left, class, rest))
    }

    /// WB7, WB7c, WB11: the character after an infix.
    fn ends_infix(&self, infix: WordBreak, class: WordBreak) -> bool {
        self.second_left.is_some_and(|before| is_infix(before, infix, class))
    }
}

/// WB6, WB7b, WB12: an infix joins only what stands on both its sides. WB7a: a quote after a Hebrew letter always.
fn opens_infix(left: WordBreak, class: WordBreak, rest: &str) -> bool {
    if left == WordBreak::HebrewLetter && class == WordBreak::SingleQuote {
        return true;
    }
    if !is_letter(left) && left != WordBreak::Numeric || !may_be_infix(class) {
        return false;
    }
    let next = rest.chars().skip(1).map(|next| CLASSES.get(next)).find(|&next| !is_hidden(next));
    next.is_some_and(|next| is_infix(left, class, next))
}

fn is_newline(class: WordBreak) -> bool {
    matches!(class, WordBreak::CR | WordBreak::LF | WordBreak::Newline)
}

/// What WB4 lets disappear behind the character before it.
fn is_hidden(class: WordBreak) -> bool {
    matches!(class, WordBreak::Extend | WordBreak::Format | WordBreak::ZWJ)
}

fn is_letter(class: WordBreak) -> bool {
    matches!(class, WordBreak::ALetter | WordBreak::HebrewLetter)
}

fn may_be_infix(class: WordBreak) -> bool {
    matches!(
        class,
        WordBreak::MidLetter
            | WordBreak::MidNum
            | WordBreak::MidNumLet
            | WordBreak::SingleQuote
            | WordBreak::DoubleQuote
    )
}

fn is_infix(before: WordBreak, infix: WordBreak, after: WordBreak) -> bool {
    match infix {
        WordBreak::MidLetter => is_letter(before) && is_letter(after),
        WordBreak::MidNum => before == WordBreak::Numeric && after == before,
        WordBreak::MidNumLet | WordBreak::SingleQuote => {
            (is_letter(before) && is_letter(after)) || (before == WordBreak::Numeric && after == before)
        }
        WordBreak::DoubleQuote => before == WordBreak::HebrewLetter && after == before,
        _ => false,
    }
}

/// WB5, WB8 to WB10, WB13 to WB13b: pairs that stay together whatever stands around them.
fn joins(left: WordBreak, right: WordBreak) -> bool {
    let run = |class| is_letter(class) || class == WordBreak::Numeric;
    let katakana = |class| class == WordBreak::Katakana;
    let connector = |class| class == WordBreak::ExtendNumLet;
    (run(left) && run(right))
        || (katakana(left) && katakana(right))
        || (connector(right) && (run(left) || katakana(left) || connector(left)))
        || (connector(left) && (run(right) || katakana(right)))
}
