//! `probe_budget` of `scion {}`.

use super::*;

#[test]
fn probes_have_a_budget() {
    let budget = |text: &str| options(text).scion.expect("scion").probe_budget;
    let read = ["scion {}", "scion { probe_budget: 2KB }", "scion { probe_budget: 256 }"].map(budget);
    assert_eq!(read, [None, Some(2048), Some(256)]);
    for (value, expected) in
        [("255", "probe_budget: 255 is out of range; use 256 to 16777216"), ("\"fast\"", "expected an integer")]
    {
        let errors = loaded(&format!("scion {{ probe_budget: {value} }}")).expect_err(value).to_string();
        assert!(errors.contains(expected), "{errors}");
    }
}
