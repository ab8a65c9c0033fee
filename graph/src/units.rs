//! Durations, percentages and whole numbers as they are written in a plan.

/// The longest duration that may be written, in milliseconds: 36,500 days.
pub const MAX_DURATION_MS: i64 = 36_500 * 86_400_000;

/// The units, largest first, in milliseconds.
const UNITS: [(&str, i64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration such as `100ms`, `30s`, `5m`, `24h` or `7d` as milliseconds.
///
/// `None` if the text is anything else or longer than [`MAX_DURATION_MS`].
pub fn duration(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let ms = count(number)?.checked_mul(*factor)?;
    (ms <= MAX_DURATION_MS).then_some(ms)
}

/// Reads a percentage from `0%` to `100%` as a whole number of hundredths.
pub fn percent(text: &str) -> Option<u32> {
    let number = count(text.strip_suffix('%')?)?;
    u32::try_from(number).ok().filter(|percent| *percent <= 100)
}

/// Reads a whole number that is not negative.
pub fn count(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Writes milliseconds in the largest unit that needs no fraction; a single day is `24h`.
pub fn show(ms: i64) -> String {
    let fits = |factor: i64| ms % factor == 0 && (factor < 86_400_000 || ms > factor);
    let unit = UNITS.iter().find(|(_, factor)| ms != 0 && fits(*factor));
    let (name, factor) = unit.unwrap_or(&("s", 1_000));
    format!("{}{name}", ms / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_number_and_one_unit_so_that_two_spellings_cannot_differ() {
        let read = ["100ms", "30s", "5m", "24h", "7d", "0s"].map(duration);
        let ms = [100, 30_000, 300_000, 86_400_000, 604_800_000, 0];
        assert_eq!(read, ms.map(Some));
        for bad in ["", "5", "m", "-5m", "+5m", "5 m", "1h30m", "1.5h", "5w", "36501d"] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn numbers_too_large_for_their_type_are_refused_and_do_not_wrap() {
        assert_eq!(duration("9223372036854775807d"), None);
        assert_eq!(duration("99999999999999999999s"), None);
        assert_eq!(percent("4294967297%"), None);
        assert_eq!(percent("101%"), None);
        assert_eq!(percent("33%"), Some(33));
        assert_eq!(count("9223372036854775808"), None);
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_duration() {
        let texts = ["100ms", "30s", "100m", "24h", "90d", "0s", "1500ms", "36h"];
        for text in texts {
            assert_eq!(duration(text).map(show).as_deref(), Some(text));
        }
    }
}
