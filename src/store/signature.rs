//! What a search looks at before it reads: which letters follow one another in a block of texts.
//!
//! Every three and every four letters that stand together within a word set one bit of the block's signature, chosen by
//! a hash. Where a word that is searched for needs a bit that is not set, it is not there; where all are set it may be,
//! and the text itself decides. A signature has a bit for each byte of the texts, so an eighth of their size. It ends
//! with a sum of them: a bit that was lost would hide a text, so a signature whose sum is another says nothing, and all
//! texts may be there.

/// Bytes of a signature: few letters leave most bits of a small one set, and more than this is too much to look at.
const LEAST: usize = 64;
const MOST: usize = 1 << 20;

/// The bits of a block, and behind them their CRC-32.
pub struct Signature(Vec<u8>);

impl Signature {
    pub fn of<'a, T: Iterator<Item = &'a str>>(texts: impl Fn() -> T) -> Self {
        let bytes: usize = texts().map(str::len).sum();
        let mut bits = vec![0; (bytes / 8).clamp(LEAST, MOST)];
        for text in texts() {
            each_letters(text, |hash| {
                let (byte, bit) = place(hash, bits.len());
                bits[byte] |= bit;
            });
        }
        Self::sealed(bits)
    }

    /// Of bits that have no sum yet.
    pub fn sealed(mut bits: Vec<u8>) -> Self {
        let sum = crc32fast::hash(&bits);
        bits.extend(sum.to_le_bytes());
        Self(bits)
    }

    /// As it lies in the document.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The bits of what lies in the document; absent where they are not what they were.
pub fn bits_of(bytes: &[u8]) -> Option<&[u8]> {
    let (bits, sum) = bytes.split_last_chunk()?;
    (crc32fast::hash(bits) == u32::from_le_bytes(*sum)).then_some(bits)
}

/// The letters of words that are searched for.
pub struct Wanted(Vec<u32>);

impl Wanted {
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hashes = Vec::new();
        for word in words {
            each_letters(word, |hash| hashes.push(hash));
        }
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    /// Whether texts with these bits may hold all of the words.
    pub fn may_be_in(&self, bits: &[u8]) -> bool {
        self.0.iter().all(|hash| {
            let (byte, bit) = place(*hash, bits.len());
            bits.get(byte).is_none_or(|bits| bits & bit != 0)
        })
    }
}

/// Which bit stands for some letters.
fn place(hash: u32, bytes: usize) -> (usize, u8) {
    let bit = (u64::from(hash) * (8 * bytes as u64)) >> 32;
    ((bit / 8) as usize, 1 << (bit % 8))
}

/// Hashes of all three and four letters that follow one another within a word, folded as [`fold`] does.
fn each_letters(text: &str, mut each: impl FnMut(u32)) {
    // The last three letters, 21 bits each, and how many of the word there were.
    let (mut last, mut run) = (0_u64, 0_u32);
    let mut push = |letter: char| {
        if letter.is_whitespace() {
            run = 0;
            return;
        }
        let before = last >> 42;
        last = ((last << 21) | u64::from(letter)) & ((1 << 63) - 1);
        run += 1;
        if run >= 3 {
            each(hash(last));
        }
        if run >= 4 {
            each(hash(last ^ (before + 1).wrapping_mul(0xA24B_AED4_963E_E407)));
        }
    };
    for letter in text.chars() {
        if letter.is_ascii() {
            push(letter.to_ascii_lowercase());
        } else if letter == 'ς' {
            push('σ');
        } else {
            letter.to_lowercase().for_each(&mut push);
        }
    }
}

fn hash(letters: u64) -> u32 {
    (letters.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

/// Lower case letter by letter, so that a letter folds the same wherever it stands.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let at = ascii(rest.as_bytes());
        if at == rest.len() {
            break;
        }
        push_ascii(&mut folded, &rest[..at]);
        let mut letters = rest[at..].chars();
        match letters.next() {
            Some('ς') => folded.push('σ'),
            letter => folded.extend(letter.into_iter().flat_map(char::to_lowercase)),
        }
        rest = letters.as_str();
    }
    push_ascii(&mut folded, rest);
    folded
}

/// How many ASCII letters a text begins with.
fn ascii(text: &[u8]) -> usize {
    const AT_ONCE: usize = 32;
    let whole = text.chunks(AT_ONCE).take_while(|some| some.is_ascii()).map(<[u8]>::len).sum();
    let rest = text[whole..].iter().take_while(|byte| byte.is_ascii()).count();
    whole + rest
}

fn push_ascii(folded: &mut String, text: &str) {
    let start = folded.len();
    folded.push_str(text);
    folded[start..].make_ascii_lowercase();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_knows_more_than_ascii() {
        assert_eq!(fold("ÄÖÜ"), fold("äöü"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
        assert_eq!(fold("A é B水Ç"), "a é b水ç");
        assert_eq!(fold(""), "");
    }

    #[test]
    fn a_signature_misses_nothing_that_is_there_and_little_is_there_that_is_not() {
        let text = "When does the FERRY leave for Straße 12?\nΟΔΟΣ 水車はどこ";
        let signature = Signature::of(|| [text, "A second text"].into_iter());
        let may = |search: &str| Wanted::of(search.split_whitespace()).may_be_in(bits_of(signature.bytes()).unwrap());
        for word in ["ferry", "ERR", "leave the", "straße", "12?", "οδος", "車はど", "second", "cond", "a", ""]
        {
            assert!(may(word), "{word}");
        }
        let others = ["ferries", "lever", "harbour", "strasse", "textile", "123", "secondly", "mill"];
        let missed = others.into_iter().filter(|word| may(word)).count();
        assert!(missed <= 1, "{missed}");
        // What stands on both sides of a space is no word.
        assert!(!may("theferry") && !may("doesthe"));
    }

    #[test]
    fn a_signature_that_was_changed_is_none() {
        let whole = Signature::of(|| ["some words"].into_iter()).bytes().to_vec();
        assert!(bits_of(&whole).is_some_and(|bits| bits.len() == LEAST));
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            assert_eq!(bits_of(&changed), None, "{at}");
        }
        assert!(bits_of(&whole[1..]).is_none() && bits_of(&[]).is_none() && bits_of(&[0; 68]).is_none());
    }
}
