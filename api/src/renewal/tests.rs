use proptest::prelude::*;

use super::*;
use crate::duration::GoDuration;

const START: &str = "2026-01-01T00:00:00Z";

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn renewed(spec: &CertificateSpec, days: i64) -> Result<Option<String>, WindowError> {
    let not_before = time(START);
    let at = renewal_time(not_before, not_before.plus_seconds(days * 86_400), spec)?;
    Ok(at.map(|t| t.to_string()))
}

fn spec(json: serde_json::Value) -> CertificateSpec {
    serde_json::from_value(json).unwrap()
}

fn with_windows(windows: serde_json::Value) -> CertificateSpec {
    // Desired: 2026-01-21T00:00:00Z, a Wednesday, of a certificate that ends on 2026-01-31.
    let renewal = serde_json::json!({"policy": "RenewBefore", "windows": windows});
    spec(serde_json::json!({"renewBefore": "240h", "renewal": renewal}))
}

#[test]
fn a_third_remains_unless_the_spec_says_otherwise() {
    let at = |json| renewed(&spec(json), 30).unwrap().unwrap();
    assert_eq!(at(serde_json::json!({})), "2026-01-21T00:00:00Z");
    assert_eq!(at(serde_json::json!({"renewBefore": "24h"})), "2026-01-30T00:00:00Z");
    assert_eq!(at(serde_json::json!({"renewBeforePercentage": 10})), "2026-01-28T00:00:00Z");
}

#[test]
fn values_that_make_no_sense_for_the_issued_certificate_are_passed_over() {
    let at = |json| renewed(&spec(json), 30).unwrap().unwrap();
    let third = "2026-01-21T00:00:00Z";
    for (before, percent) in [("720h", 0), ("0s", 100), ("-1h", -5), ("8000h", 250)] {
        let json = serde_json::json!({"renewBefore": before, "renewBeforePercentage": percent});
        assert_eq!(at(json), third, "{before} {percent}");
    }
    let json = serde_json::json!({"renewBefore": "720h", "renewBeforePercentage": 50});
    assert_eq!(at(json), "2026-01-16T00:00:00Z");
}

#[test]
fn fractions_of_a_second_are_cut_towards_the_past() {
    let (start, end) = (Time::clamped(0), Time::clamped(10));
    assert_eq!(desired_time(start, end, &CertificateSpec::default()).unix(), 6);
    let before = GoDuration::from_nanos(1);
    let spec = CertificateSpec { renew_before: Some(before), ..Default::default() };
    assert_eq!(desired_time(start, end, &spec).unix(), 9);
}

#[test]
fn disabled_is_never() {
    let disabled = spec(serde_json::json!({"renewal": {"policy": "Disabled"}}));
    assert_eq!(renewed(&disabled, 30), Ok(None));
}

#[test]
fn a_time_inside_a_window_stays_and_one_outside_waits_for_the_next() {
    let at = |windows| renewed(&with_windows(windows), 30).unwrap().unwrap();
    let night = serde_json::json!([{"cron": "0 22 * * *", "windowDuration": "4h"}]);
    assert_eq!(at(night), "2026-01-21T00:00:00Z");
    let closing = serde_json::json!([{"cron": "0 22 * * *", "windowDuration": "2h"}]);
    assert_eq!(at(closing), "2026-01-21T00:00:00Z");
    let closed = serde_json::json!([{"cron": "0 22 * * *", "windowDuration": "1h"}]);
    assert_eq!(at(closed), "2026-01-21T22:00:00Z");
    let opening = serde_json::json!([{"cron": "0 0 * * wed", "windowDuration": "1h"}]);
    assert_eq!(at(opening), "2026-01-21T00:00:00Z");
    let zoned = serde_json::json!([
        {"cron": "0 2 * * sat", "timezone": "America/New_York", "windowDuration": "1h"}
    ]);
    assert_eq!(at(zoned), "2026-01-24T07:00:00Z");
}

#[test]
fn of_several_windows_the_first_counts() {
    let two = serde_json::json!([
        {"cron": "0 3 * * sun", "windowDuration": "1h"},
        {"cron": "0 3 * * fri", "windowDuration": "1h"},
    ]);
    assert_eq!(renewed(&with_windows(two), 30).unwrap().unwrap(), "2026-01-23T03:00:00Z");
}

#[test]
fn a_window_after_the_expiry_does_not_let_the_certificate_lapse() {
    let late = serde_json::json!([{"cron": "0 0 1 2 *", "windowDuration": "48h"}]);
    let error = renewed(&with_windows(late), 30).unwrap_err();
    assert_eq!(error.desired(), time("2026-01-21T00:00:00Z"));
    assert!(matches!(error, WindowError::NoneFits { .. }));
    let at_the_end = serde_json::json!([{"cron": "0 0 31 1 *", "windowDuration": "1h"}]);
    assert!(renewed(&with_windows(at_the_end), 30).is_err());
}

#[test]
fn a_window_that_slipped_past_the_webhook_is_an_error_with_a_time_to_go_by() {
    for window in [
        serde_json::json!({"cron": "nonsense", "windowDuration": "1h"}),
        serde_json::json!({"cron": "@daily", "timezone": "Nowhere", "windowDuration": "1h"}),
        serde_json::json!({"cron": "@daily"}),
        serde_json::json!({"cron": "@daily", "windowDuration": "0s"}),
    ] {
        let error = renewed(&with_windows(serde_json::json!([window])), 30).unwrap_err();
        assert!(matches!(error, WindowError::Unusable { index: 0, .. }));
        assert_eq!(error.desired(), time("2026-01-21T00:00:00Z"));
    }
}

#[test]
fn every_has_no_fixed_times_so_it_is_open_once_its_period_has_passed() {
    let every = serde_json::json!([{"cron": "@every 24h", "windowDuration": "1h"}]);
    assert_eq!(renewed(&with_windows(every), 30).unwrap().unwrap(), "2026-01-21T00:00:00Z");
}

proptest! {
    #[test]
    fn renewal_is_never_later_than_the_expiry(
        lifetime in 1i64..400 * 86_400,
        before in any::<i64>(),
        percent in any::<i32>(),
        hour in 0u8..24,
        weekday in 0u8..7,
        open in 1i64..200_000,
    ) {
        let not_before = time(START);
        let not_after = not_before.plus_seconds(lifetime);
        let cron = format!("0 {hour} * * {weekday}");
        let window = serde_json::json!({"cron": cron, "windowDuration": format!("{open}s")});
        let mut spec = with_windows(serde_json::json!([window]));
        spec.renew_before = Some(GoDuration::from_nanos(before));
        spec.renew_before_percentage = Some(percent);
        let at = match renewal_time(not_before, not_after, &spec) {
            Ok(at) => at.unwrap(),
            Err(error) => error.desired(),
        };
        prop_assert!(at < not_after && at >= not_before.plus_seconds(-1));
    }
}
