//! Ages as kubectl writes them (k8s.io/apimachinery, `duration.HumanDuration`).

/// The time since an RFC 3339 time; `<unknown>` where there is none.
pub(super) fn since(text: &str, now: i64) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => duration(now - at.as_millisecond()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A duration in milliseconds, in at most two units.
pub(super) fn duration(ms: i64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two((minutes, 'm'), (seconds % 60, 's')),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two((hours, 'h'), (minutes % 60, 'm')),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => two((days, 'd'), (hours % 24, 'h')),
        () if years < 2 => format!("{days}d"),
        () if years < 8 => two((years, 'y'), (days % 365, 'd')),
        () => format!("{years}y"),
    }
}

fn two((more, unit): (i64, char), (less, below): (i64, char)) -> String {
    if less == 0 { format!("{more}{unit}") } else { format!("{more}{unit}{less}{below}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_the_precision_that_kubectl_shows() {
        let of = |seconds: i64| duration(seconds * 1000);
        let (minute, hour, day) = (60, 3600, 86_400);
        let expected = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (119, "119s"),
            (2 * minute, "2m"),
            (8 * minute + 4, "8m4s"),
            (10 * minute + 4, "10m"),
            (179 * minute, "179m"),
            (3 * hour, "3h"),
            (7 * hour + 5 * minute, "7h5m"),
            (47 * hour, "47h"),
            (2 * day + hour, "2d1h"),
            (8 * day, "8d"),
            (729 * day, "729d"),
            (731 * day, "2y1d"),
            (3000 * day, "8y"),
        ];
        for (seconds, text) in expected {
            assert_eq!(of(seconds), text);
        }
        assert_eq!(since("2026-01-01T00:00:00.000000Z", 1_767_225_605_000), "5s");
        assert_eq!(since("", 0), "<unknown>");
    }
}
