"""benchmarks/margins.py: which runs it takes for those of a config."""

from benchmarks import margins


def test_variants_of_a_config_have_folders_of_their_own(tmp_path, monkeypatch):
    folders = []

    def train(config, seed, workdir, overrides):
        folders.append(workdir.relative_to(tmp_path).as_posix())
        return {f"{stage}/{measure}": float(stage == "pretrained") for stage in ("untrained", "pretrained")
                for measure in ("knn_full", "linear")}  # fmt: skip

    monkeypatch.setattr(margins, "train", train)
    for variant in ("simclr", "dcl"):
        spec = f"{margins.ROOT / 'configs' / 'small_openmoji.py'}:{variant}"
        monkeypatch.setattr("sys.argv", ["margins.py", spec, "--seeds=1", f"--workdir={tmp_path}"])
        assert margins.main() == 0
    assert folders == ["small_openmoji_simclr/seed0", "small_openmoji_dcl/seed0"]
