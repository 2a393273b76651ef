//! Runs one target on some inputs, without a fuzzer: `cargo run --example replay -- TARGET FILE...`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("say which target")?;
    let (_, run) = targets::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or("no such target")?;
    for file in arguments {
        run(&std::fs::read(file)?);
    }
    Ok(())
}
