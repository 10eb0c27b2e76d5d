//! The example notebook runs: features in Python, a model of scikit-learn, ONNX, and the same scores in Fundwatch.

use std::path::Path;
use std::process::Command;

#[test]
fn a_model_of_scikit_learn_comes_back_with_the_same_scores() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("scripts/notebook"));
    command.arg("run").arg(folder.path()).env("FUNDWATCH", env!("CARGO_BIN_EXE_fundwatch"));
    let output = command.output().expect("it runs");
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{wrong}");
    println!("{said}");
    // The notebook itself compares the scores; here is that it came so far.
    assert!(said.contains(" rows, scores at most "), "{said}");
}
