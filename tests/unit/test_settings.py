"""Settings: what is wrong is said by the name under which it was given, and nothing starts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from rightarch.errors import SettingsError
from rightarch.settings import ControllerSettings, WebhookSettings


@pytest.fixture
def least(tmp_path: Path) -> dict[str, object]:
    """The settings that have no default."""
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).touch()
    return {"cert_file": str(tmp_path / "tls.crt"), "key_file": str(tmp_path / "tls.key")}


def test_the_certificate_is_all_that_must_be_given(least: dict[str, object]) -> None:
    """Everything else has a default that suits a cluster: no registry on loopback, a second for unknown images."""
    settings = WebhookSettings.load(least)
    assert (settings.port, settings.health_port, settings.address.is_unspecified) == (8443, 8080, True)
    assert (settings.lookup_budget, settings.allow_loopback_registries) == (1.0, False)


def test_text_from_the_environment_is_read(least: dict[str, object]) -> None:
    """Numbers and truths may be given as text, as the environment does."""
    settings = WebhookSettings.load(
        {**least, "port": "9443", "lookup_budget": "0.5", "allow_loopback_registries": "true", "address": "::"}
    )
    assert (settings.port, settings.lookup_budget, settings.allow_loopback_registries) == (9443, 0.5, True)
    assert settings.address.version == 6


@pytest.mark.parametrize(
    ("text", "clouds"),
    [("none", set()), ("ecr", {"ecr"}), ("gar, acr", {"gar", "acr"}), (None, {"ecr", "gar", "acr"})],
)
def test_clouds_are_all_on_unless_they_are_named(least: dict[str, object], text: str | None, clouds: set[str]) -> None:
    """Those that are on are asked only for images of theirs."""
    given = {} if text is None else {"cloud_credentials": text}
    assert WebhookSettings.load({**least, **given}).cloud_credentials == clouds


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"port": 0}, "--port (RIGHTARCH_PORT): '0': input should be greater than or equal to 1"),
        ({"lookup_budget": 3.5}, "--lookup-budget (RIGHTARCH_LOOKUP_BUDGET): '3.5'"),
        ({"lookup_budget": 0}, "--lookup-budget (RIGHTARCH_LOOKUP_BUDGET): '0'"),
        ({"address": "here"}, "--address (RIGHTARCH_ADDRESS): 'here'"),
        ({"kubeconfig": "/does/not/exist"}, "--kubeconfig (RIGHTARCH_KUBECONFIG): '/does/not/exist'"),
        ({"log_level": "loud"}, "--log-level (RIGHTARCH_LOG_LEVEL): 'loud'"),
        ({"cloud_credentials": "ecr,aws"}, "--cloud-credentials (RIGHTARCH_CLOUD_CREDENTIALS): 'aws': input should be"),
        ({"cloud_credentials": "ecr,none"}, "--cloud-credentials (RIGHTARCH_CLOUD_CREDENTIALS): 'none': input should"),
        ({"cloud_credentials": ""}, "--cloud-credentials (RIGHTARCH_CLOUD_CREDENTIALS): '': input should be"),
        ({"port": 8080}, "--port and --health-port are both 8080; give each its own"),
        ({"prot": 8443}, "--prot (RIGHTARCH_PROT)"),
    ],
)
def test_what_is_wrong_is_named(least: dict[str, object], wrong: dict[str, object], said: str) -> None:
    """The error names the option and its variable, repeats the value, and says what is asked for."""
    with pytest.raises(SettingsError) as caught:
        WebhookSettings.load({**least, **wrong})
    assert str(caught.value).startswith(said)


def test_all_problems_are_said_at_once() -> None:
    """One line a problem: nobody mends one to be told the next."""
    with pytest.raises(SettingsError) as caught:
        WebhookSettings.load({"port": "x", "address": "y", "certificate_secret": "A Secret"})
    said = [line.split()[0] for line in str(caught.value).splitlines()]
    assert sorted(said) == ["--address", "--certificate-secret", "--port"]


SECRET = {"certificate_secret": "rightarch-webhook", "namespace": "rightarch-system"}


def test_the_certificate_may_be_in_a_secret() -> None:
    """Then there are no files."""
    settings = WebhookSettings.load(SECRET)
    assert (settings.cert_file, settings.certificate_secret) == (None, "rightarch-webhook")


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ([], "the certificate: nothing is given; give either --cert-file (RIGHTARCH_CERT_FILE) with --key-file"),
        (["cert_file", "key_file", *SECRET], "the certificate: two ways are given; give either --cert-file"),
        (["cert_file"], "--cert-file and --key-file go together"),
        (["key_file", *SECRET], "--cert-file and --key-file go together"),
        (["certificate_secret"], "--certificate-secret is given without --namespace"),
    ],
)
def test_exactly_one_way_to_a_certificate_is_given(least: dict[str, object], certificate: list[str], said: str) -> None:
    """Two would leave open which one is served."""
    every = {**least, **SECRET}
    with pytest.raises(SettingsError) as caught:
        WebhookSettings.load({name: every[name] for name in certificate})
    assert str(caught.value).startswith(said)


def test_settings_do_not_change(least: dict[str, object]) -> None:
    """What was validated is what is used."""
    settings = WebhookSettings.load(least)
    with pytest.raises(ValidationError):
        settings.port = 1


SELF_MANAGED = {
    "namespace": "rightarch-system",
    "certificates": "self-managed",
    "certificate_secret": "rightarch-certificate",
    "webhook_configuration": "rightarch",
    "webhook_host": "192.0.2.7",
}


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("certificate_secret", "--certificates self-managed also needs --certificate-secret"),
        ("webhook_configuration", "--certificates self-managed also needs --webhook-configuration"),
        ("webhook_host", "--certificates self-managed also needs --service-name or --webhook-host"),
    ],
)
def test_who_keeps_the_certificate_knows_where_and_for_what(lacking: str, said: str) -> None:
    """A certificate without a name is good for nothing."""
    with pytest.raises(SettingsError) as caught:
        ControllerSettings.load({name: value for name, value in SELF_MANAGED.items() if name != lacking})
    assert str(caught.value) == said


def test_certificates_are_left_alone_unless_told_otherwise() -> None:
    """And live for 90 days where they are kept."""
    assert ControllerSettings.load({"namespace": "rightarch-system"}).certificates == "external"
    assert ControllerSettings.load(SELF_MANAGED).certificate_lifetime == 90 * 24 * 60 * 60


@pytest.mark.parametrize(
    ("text", "namespaces"),
    [
        ("*", {"*"}),
        ("none", set()),
        ("team-a", {"team-a"}),
        ("team-a, team-b", {"team-a", "team-b"}),
    ],
)
def test_pull_secrets_are_read_where_it_is_said(text: str, namespaces: set[str]) -> None:
    """Namespaces, all or none; everywhere if nothing is said."""
    least = {"namespace": "rightarch-system"}
    assert ControllerSettings.load(least | {"pull_secrets": text}).pull_secrets == namespaces
    assert ControllerSettings.load(least).pull_secrets == {"*"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pull_secrets": "team-a,,"}, "--pull-secrets (RIGHTARCH_PULL_SECRETS)"),
        ({"pull_secrets": "Team"}, "the namespaces whose pull secrets are read"),
        ({"identity_scope": "pod"}, "--identity-scope (RIGHTARCH_IDENTITY_SCOPE): 'pod': input should be 'cluster' or"),
        ({"facts_retention": 0}, "--facts-retention (RIGHTARCH_FACTS_RETENTION): '0'"),
        (
            {"image_credential_provider_config": "config.yaml"},
            "with --image-credential-provider-bin-dir (RIGHTARCH_IMAGE_CREDENTIAL_PROVIDER_BIN_DIR): they go together",
        ),
        ({"image_credential_provider_bin_dir": "/nowhere"}, "path does not point to a directory"),
    ],
)
def test_wrong_sources_of_credentials_are_refused(given: dict[str, object], said: str) -> None:
    """With the option's name, and what is wrong."""
    with pytest.raises(SettingsError) as caught:
        ControllerSettings.load({"namespace": "rightarch-system"} | given)
    assert said.lower() in str(caught.value).lower()
