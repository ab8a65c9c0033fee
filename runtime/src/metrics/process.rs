//! Memory and processor time of this process, from Linux's `/proc/self`.

use super::text;

/// `/proc` counts processor time in hundredths of a second, whatever the kernel's own tick is
/// (`USER_HZ`; 1024 only on Alpha).
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes both families; where there is no `/proc`, nothing.
pub(super) fn write(out: &mut String) {
    let read = |file| std::fs::read_to_string(file).ok();
    if let Some(bytes) = read("/proc/self/status").as_deref().and_then(resident_bytes) {
        let name = "process_resident_memory_bytes";
        text::family(out, name, "gauge", "Resident memory of this process.");
        text::series(out, name, &[], bytes);
    }
    if let Some(seconds) = read("/proc/self/stat").as_deref().and_then(cpu_seconds) {
        let name = "process_cpu_seconds_total";
        text::family(out, name, "counter", "Processor time of this process, user and system.");
        text::series(out, name, &[], seconds);
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name, which may hold blanks and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let (user, system) = (ticks()?, ticks()?);
    Some((user as f64 + system as f64) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_does_not_confuse_the_reader() {
        let stat = "7 (a) b) (c) R 1 7 7 0 -1 4194304 90 0 0 0 1234 66 0 0 20 0 4 0 100 2 3";
        assert_eq!(cpu_seconds(stat), Some(13.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t  12 kB\nVmData:\t 9 kB\n"), Some(12_288));
    }

    #[test]
    fn odd_files_give_no_metric_and_no_panic() {
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(cpu_seconds("1 (x) R 1"), None);
        assert_eq!(resident_bytes("VmRSS: many kB"), None);
        assert_eq!(resident_bytes("VmRSS: 99999999999999999999 kB"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_both() {
        let mut out = String::new();
        write(&mut out);
        assert!(out.contains("\nprocess_resident_memory_bytes "), "{out}");
        assert!(out.contains("\nprocess_cpu_seconds_total "), "{out}");
    }
}
