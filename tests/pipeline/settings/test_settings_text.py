import configparser

from models.training.settings import TRAININGS
from pipeline.runs.fingerprints import compute_fingerprint
from pipeline.settings import config
from tests.golden.make_settings import PAGE, PAPERS_RUN, TASKS_CFG, render_page, replace_sections

AGAIN = "it is stale: run `make settings`"
#: Fingerprints from before the settings of training were declared in models/: checkpoints of that time stay valid.
FINGERPRINTS = {"anet": "46af027bcf7628fc", "vnet": "735e734b14d9b07f", "joint": "818f0dc0ef58a417"}


def test_the_page_of_settings_is_what_the_code_declares():
    page = PAGE.read_text(encoding="utf-8")
    assert page == render_page(), AGAIN
    for name, section in config.SECTIONS.items():
        assert f"## [{name}]" in page
        for option, parameter in section.get_params():
            assert f"\n| `{option}` | " in page
            assert parameter.description, f"[{name}] {option}"


def test_tasks_cfg_is_what_the_code_declares():
    text = TASKS_CFG.read_text(encoding="utf-8")
    assert text == replace_sections(text), AGAIN
    assert max(map(len, text.splitlines())) <= 120


def test_tasks_cfg_holds_every_setting_at_its_default():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(TASKS_CFG, encoding="utf-8")
    found = {}
    for name, section in config.SECTIONS.items():
        for option, parameter in section.get_params():
            if parameter.parse(parser[name][option]) != parameter._default:
                found[name, option] = parser[name][option]
    assert found == PAPERS_RUN


def test_default_settings_have_the_fingerprints_they_always_had():
    found = {name: compute_fingerprint(config.Settings.read().describe_training(name)) for name in FINGERPRINTS}
    assert found == FINGERPRINTS


def test_sections_and_trainings_have_the_same_defaults():
    for name, kind in TRAININGS.items():
        values = config.Settings.read().values(name)
        assert len(values) >= 15
        made = kind(**{option: value for option, value in values.items() if option != "vgg_weights"})
        assert made == kind()
