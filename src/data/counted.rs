//! How many of something, in words.

/// "1 pair", "12 pairs", "0 pairs".
pub fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g24_one_is_not_many() {
        assert_eq!(counted(1, "pair has", "pairs have"), "1 pair has");
        assert_eq!(counted(0, "pair", "pairs"), "0 pairs");
        assert_eq!(counted(12, "pair", "pairs"), "12 pairs");
    }
}
