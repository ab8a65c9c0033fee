fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<(String, String)> =
        args.iter().map(|f| (f.clone(), std::fs::read_to_string(f).unwrap())).collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    match everleaf_graph::Plan::load(&files) {
        Ok(plan) => print!("{}", everleaf_graph::codegen::rust(&plan, "crate::engine")),
        Err(f) => println!("{f}"),
    }
}
