"""The tables of an Open edX database, as far as credsync reads them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Double, String, TableClause, Text, column, table

from credsync.adapters.sql.moments import Moment

__all__ = ["LEARNING_TABLES", "certificates", "date_overrides", "grades", "site_configurations", "sites", "users"]

users = table("auth_user", column("id", BigInteger), column("username", String))

certificates = table(
    "certificates_generatedcertificate",
    column("id", BigInteger),
    column("user_id", BigInteger),
    column("course_id", String),
    column("mode", String),
    column("status", String),
    column("created_date", Moment),
    column("modified_date", Moment),
)

date_overrides = table(
    "certificates_certificatedateoverride",
    column("id", BigInteger),
    column("generated_certificate_id", BigInteger),
    column("date", Moment),
    column("modified", Moment),
)

grades = table(
    "grades_persistentcoursegrade",
    column("id", BigInteger),
    column("user_id", BigInteger),
    column("course_id", String),
    column("percent_grade", Double),
    column("letter_grade", String),
    column("modified", Moment),
)

sites = table("django_site", column("id", BigInteger), column("domain", String))

site_configurations = table(
    "site_configuration_siteconfiguration",
    column("id", BigInteger),
    column("site_id", BigInteger),
    column("enabled", Boolean),
    column("site_values", Text),
)

LEARNING_TABLES: tuple[TableClause, ...] = (users, certificates, date_overrides, grades)
"""What a run reads."""
