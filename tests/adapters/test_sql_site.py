"""The sites of a platform: whose organisations they have, and what they switch on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from credsync.adapters.sql import SqlSites, SqlSource
from credsync.errors import ConfigurationError, SourceError
from credsync.model import CourseMode
from credsync.ports import Policy, SiteConfiguration
from credsync.testing.campus import Campus
from tests.adapters.edx_database import EdxDatabase


@pytest.fixture
def sites(edx: EdxDatabase) -> Iterator[SqlSites]:
    """The sites of an empty platform."""
    sites = SqlSites(edx.url)
    yield sites
    sites.close()


def values(**settings: object) -> str:
    """Write a configuration as the platform does."""
    return json.dumps(settings)


class TestOrgs:
    @pytest.mark.parametrize("orgs", ["TestX", ["TestX"], ["OtherX", "TestX"]])
    def test_come_as_one_string_or_a_list(self, edx: EdxDatabase, sites: SqlSites, orgs: object) -> None:
        """Both are in use."""
        edx.add_site(1, "campus.example.org", values(course_org_filter=orgs))
        site: SiteConfiguration = sites.get_orgs("campus.example.org")
        assert site.has_org("TestX")
        assert site.has_org("OtherX") == (len(orgs) == 2)  # type: ignore[arg-type]  # text or list, both have one
        assert not site.has_org("T")

    def test_are_those_of_one_site(self, edx: EdxDatabase, sites: SqlSites) -> None:
        """That another site has an organisation does not give it to this one."""
        edx.add_site(1, "campus.example.org", values(course_org_filter="CampusX"))
        edx.add_site(2, "science.example.org", values(course_org_filter="ScienceX"))
        assert sites.get_orgs("science.example.org").orgs == {"ScienceX"}

    def test_an_unknown_site_is_told_the_known_ones(self, edx: EdxDatabase, sites: SqlSites) -> None:
        """Those with an enabled configuration, for no other will do."""
        edx.add_site(1, "campus.example.org", values(course_org_filter="CampusX"))
        edx.add_site(2, "closed.example.org", values(course_org_filter="ClosedX"), enabled=False)
        expected = r"no site {} with an enabled configuration; there are: campus\.example\.org$"
        for domain in ("nowhere.example.org", "closed.example.org", "CAMPUS.example.org"):
            for get in (sites.get_orgs, sites.get_policy):
                with pytest.raises(ConfigurationError, match=expected.format(domain)):
                    get(domain)

    @pytest.mark.parametrize("settings", [{}, {"course_org_filter": []}, {"course_org_filter": ""}])
    def test_a_site_without_any_is_refused(
        self, edx: EdxDatabase, sites: SqlSites, settings: dict[str, object]
    ) -> None:
        """A run for it would send nothing, and not say why."""
        edx.add_site(1, "campus.example.org", values(**settings))
        with pytest.raises(ConfigurationError, match=r"campus\.example\.org has no organisations"):
            sites.get_orgs("campus.example.org")

    @pytest.mark.parametrize("orgs", [7, {"a": 1}, ["CampusX", 7], True])
    def test_that_are_no_text_are_refused(self, edx: EdxDatabase, sites: SqlSites, orgs: object) -> None:
        """By the name of the site."""
        edx.add_site(1, "campus.example.org", values(course_org_filter=orgs))
        with pytest.raises(ConfigurationError, match=r"campus\.example\.org has organisations that are not text"):
            sites.get_orgs("campus.example.org")

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '"CampusX"', "NaN"])
    def test_a_configuration_that_is_no_object_is_refused(self, edx: EdxDatabase, sites: SqlSites, text: str) -> None:
        """By the name of the site, also when another one was asked for."""
        edx.add_site(1, "broken.example.org", text)
        edx.add_site(2, "campus.example.org", values(course_org_filter="CampusX"))
        with pytest.raises(ConfigurationError, match=r"broken\.example\.org is no JSON object: see its site_values"):
            sites.get_orgs("campus.example.org")

    def test_a_configuration_may_be_missing(self, edx: EdxDatabase, sites: SqlSites) -> None:
        """NULL is an empty one."""
        edx.add_site(1, "empty.example.org", None)
        edx.add_site(2, "campus.example.org", values(course_org_filter="CampusX"))
        assert sites.get_orgs("campus.example.org").orgs == {"CampusX"}

    def test_a_configuration_may_be_json_to_the_database(self, postgresql_url: str) -> None:
        """Newer platforms have a column of that type, which the driver reads."""
        edx = EdxDatabase.create(postgresql_url)
        table = "site_configuration_siteconfiguration"
        edx.execute(f"ALTER TABLE {table} ALTER site_values TYPE jsonb USING site_values::jsonb")
        edx.insert("django_site", [(1, "campus.example.org")])
        edx.execute(f"INSERT INTO {table} VALUES (1, 1, true, '{values(course_org_filter='CampusX')}')")
        sites = SqlSites(postgresql_url)
        assert sites.get_orgs("campus.example.org").orgs == {"CampusX"}
        sites.close()
        edx.engine.dispose()


class TestPolicy:
    def test_learner_records_are_as_the_orgs_site_says(self, edx: EdxDatabase, sites: SqlSites) -> None:
        """On by default, on for an organisation that no site has; a disabled configuration has no say."""
        edx.add_site(1, "a.example.org", values(course_org_filter=["OnX"], ENABLE_LEARNER_RECORDS=True))
        edx.add_site(2, "b.example.org", values(course_org_filter="OffX", ENABLE_LEARNER_RECORDS=False))
        edx.add_site(3, "c.example.org", values(course_org_filter="SilentX"))
        edx.add_site(4, "d.example.org", values(course_org_filter="OnX", ENABLE_LEARNER_RECORDS=False), enabled=False)
        policy: Policy = sites.get_policy()
        answers = {
            org: policy.is_learner_records_enabled_for_org(org) for org in ("OnX", "OffX", "SilentX", "UnknownX")
        }
        assert answers == {"OnX": True, "OffX": False, "SilentX": True, "UnknownX": True}

    def test_of_two_sites_the_lower_id_decides_unless_one_is_chosen(self, edx: EdxDatabase, sites: SqlSites) -> None:
        """The chosen site has the first word on the organisations it has, and on no others."""
        edx.add_site(2, "a.example.org", values(course_org_filter=["TestX", "OtherX"], ENABLE_LEARNER_RECORDS=False))
        edx.add_site(5, "b.example.org", values(course_org_filter="TestX"))
        assert not sites.get_policy().is_learner_records_enabled_for_org("TestX")
        chosen = sites.get_policy("b.example.org")
        assert chosen.is_learner_records_enabled_for_org("TestX")
        assert not chosen.is_learner_records_enabled_for_org("OtherX")

    def test_says_yes_where_there_are_no_sites(self, sqlite_edx: EdxDatabase) -> None:
        """Without the tables, nothing is switched off; but whoever asks for a site is told."""
        sqlite_edx.execute("DROP TABLE site_configuration_siteconfiguration")
        sites = SqlSites(sqlite_edx.url)
        policy = sites.get_policy()
        assert policy.is_learner_records_enabled_for_org("TestX")
        assert policy.is_credentials_enabled()
        assert not policy.is_eligible_for_certificate(CourseMode.AUDIT)
        for get in (sites.get_orgs, sites.get_policy):
            with pytest.raises(ConfigurationError, match="it has no table site_configuration_siteconfiguration"):
                get("campus.example.org")
        sites.close()

    def test_a_table_that_lacks_a_column_is_no_missing_table(self, sqlite_edx: EdxDatabase) -> None:
        """A configuration that cannot be read is not a configuration that switches nothing off."""
        sqlite_edx.execute("ALTER TABLE site_configuration_siteconfiguration DROP COLUMN site_values")
        sites = SqlSites(sqlite_edx.url)
        with pytest.raises(ConfigurationError, match="site_configuration_siteconfiguration lacks site_values"):
            sites.get_policy()
        sites.close()

    def test_a_server_that_does_not_answer_is_worth_another_try(self) -> None:
        """Unknown is not yes."""
        with pytest.raises(SourceError, match="the server cannot be reached"):
            SqlSites("postgresql://127.0.0.1:9/edxapp").get_policy()


class TestCampus:
    def test_the_sample_campus_has_three_open_sites(self, edx: EdxDatabase) -> None:
        """Read through the engine of the source, which stays open."""
        edx.add_campus(Campus(learners=20))
        source = SqlSource(edx.url)
        sites = SqlSites(source.engine)
        assert sites.get_orgs("science.example.org").orgs == {"ScienceX", "MathX", "ArtsX"}
        policy = sites.get_policy("campus.example.org")
        assert policy.is_learner_records_enabled_for_org("CampusX")
        assert not policy.is_learner_records_enabled_for_org("ArchiveX")
        sites.close()
        source.check()
        source.close()
