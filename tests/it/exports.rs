//! What leaves the project is read back and proven first.

use std::fs;

use nudge::{
    export::{self, ExportError},
    model::Stored,
};

use crate::fixture;

#[test]
fn an_export_carries_its_proof_and_its_tokenizer() {
    let fixture = fixture::one("smollm");
    let policy = fixture.lora();
    let probes: Vec<Vec<u32>> = fixture
        .pairs()
        .into_iter()
        .map(|[prompt, ..]| prompt)
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let (adapter, whole) = (dir.path().join("adapter"), dir.path().join("merged"));

    let proof = export::adapter(&policy, &fixture.folder, &adapter, &probes).unwrap();
    assert_eq!(proof.probes, probes.len());
    assert!(proof.difference < 1e-4, "{}", proof.difference);
    assert!(proof.effect > 0.1, "{}", proof.effect);
    let merged = export::merged(&policy, &fixture.folder, &whole, Stored::F16, &probes).unwrap();
    assert!(merged.difference < 0.05 && merged.effect > 0.1);

    for folder in [&adapter, &whole] {
        let same = |name: &str| {
            fs::read(folder.join(name)).unwrap() == fs::read(fixture.folder.join(name)).unwrap()
        };
        assert!(
            same("tokenizer.json")
                && same("tokenizer_config.json")
                && same("generation_config.json")
        );
        let probe: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.join("probe.json")).unwrap()).unwrap();
        assert_eq!(fixture::ids(&probe[0]["prompt_ids"]), probes[0]);
        assert_eq!(probe[0]["greedy_ids"].as_array().unwrap().len(), 16);
    }
}

#[test]
fn an_export_that_cannot_be_proven_is_an_error() {
    let fixture = fixture::one("smollm");
    let dir = tempfile::tempdir().unwrap();
    let export =
        |probes: &[Vec<u32>]| export::adapter(&fixture.lora(), &fixture.folder, dir.path(), probes);
    assert!(matches!(export(&[]), Err(ExportError::NoProbe)));

    // The adapter of one model against the weights of another.
    let other = fixture::one("smollm_f16");
    let probes = [fixture.pairs().remove(0)[0].clone()];
    let result = export::adapter(&fixture.lora(), &other.folder, dir.path(), &probes);
    assert!(
        matches!(result, Err(ExportError::Differs { .. })),
        "{result:?}"
    );
}
