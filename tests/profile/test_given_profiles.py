"""The profiles that come with the project load, and read what they say they read."""

from pathlib import Path

import pytest

from crm_analysis import profile, tables

PROFILES = Path(__file__).parents[2] / "analyses" / "profiles"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_loads(path):
    settings = profile.load(path)
    assert settings.id == path.stem
    assert settings.coverage.history_starts_on is not None
    assert settings.coverage.data_ends_on is not None


def test_cdnow_comes_with_the_stack(tmp_path, monkeypatch):
    """2,357 customers; Fader, Hardie and Lee 2005 use the same sample. 6,919 lines and
    244,091.94 dollars in CDNOW_sample.txt, added by awk."""
    monkeypatch.setenv("CRM_ANALYSIS_BUILD", str(tmp_path))
    settings = profile.load(PROFILES / "cdnow.yaml")
    tables.ingest(settings)
    rows = tables.open(settings).raw("transactions").to_pandas()
    assert len(rows) == 6_919
    assert rows["customer_id"].nunique() == 2_357
    assert rows["amount"].sum() == pytest.approx(244_091.94)
    assert str(rows["occurred_at"].min())[:10] == "1997-01-01"


def test_no_data_folder_replaces_what_comes_with_the_stack(tmp_path):
    for name in ("cdnow", "demo"):
        path = PROFILES / f"{name}.yaml"
        assert profile.load(path, data=tmp_path).data_root == profile.load(path).data_root


def test_demo_names_every_campaign_in_both_languages():
    from crm_analysis import demo

    settings = profile.load(PROFILES / "demo.yaml")
    for campaign in demo.truth().campaigns.values():
        english, korean = (settings.campaign_name(campaign.campaign_id, campaign.name, code) for code in ("en", "ko"))
        assert english.isascii()
        assert not korean.isascii()
