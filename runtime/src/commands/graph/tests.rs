use super::*;
use everleaf_nodes::SPECS;

/// The specs in a directory of their own, each text as `change` makes it.
fn specs(name: &str, change: impl Fn(&str, &str) -> String) -> PathBuf {
    let name = format!("everleaf-specs-{}-{name}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    for (file, text) in SPECS {
        let file = file.rsplit('/').next().unwrap_or(file);
        std::fs::write(directory.join(file), change(file, text)).unwrap();
    }
    directory
}

#[test]
fn the_specs_of_the_build_read_from_files_are_the_compiled_plan() {
    let directory = specs("same", |_, text| text.to_owned());
    let read = read(&directory);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(read.unwrap().canonical(), everleaf_nodes::compiled_plan().canonical());
}

#[test]
fn every_fault_of_a_plan_is_told_with_file_and_line_and_exit_code_2() {
    let directory = specs("faulty", |file, text| match file {
        "certificate.yaml" => text.replace("start: keying", "start: nowhere"),
        "issuer.yaml" => text.replace("start: unverified", "start: nothing"),
        _ => text.to_owned(),
    });
    let refused = read(&directory).expect_err("two machines start nowhere");
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(refused.exit_code(), 2);
    let told = refused.to_string();
    for place in ["certificate.yaml:4: ", "issuer.yaml:4: "] {
        let place = format!("{}/{place}", directory.display());
        assert!(told.lines().any(|line| line.starts_with(&place)), "{place} in {told}");
    }
}

#[test]
fn what_is_no_directory_of_specs_is_refused() {
    let missing = read(Path::new("/nowhere/at/all")).expect_err("there is no such directory");
    assert!(missing.to_string().contains("no such directory"), "{missing}");
}
