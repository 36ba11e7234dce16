from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livefleet.media import Container, H264Profile, VideoCodec
from livefleet.wire import Capabilities, Capability, ModelConstraint
from livefleet.wire.capabilities import (
    DEFAULT_CAPABILITIES,
    WIRE_VERSION,
    capability_of_pipeline,
    needs_of,
    pipeline_of_capability,
    required_for,
    version_satisfies,
)
from tests.builders.wire import a_job, a_profile

pytestmark = pytest.mark.unit

ids = st.frozensets(st.integers(0, 200), max_size=20)
versions = st.builds("{}.{}.{}".format, *(st.integers(0, 30),) * 3)
capacities = st.dictionaries(st.integers(0, 200), st.integers(1, 20), max_size=10)


def worker_with(amounts):
    return replace(Capabilities.of(amounts), capacities=amounts)


@given(ids, ids)
def test_serves__bits_only__is_the_subset_rule(node, job):
    assert Capabilities.of(node).serves(Capabilities.of(job)) == (job <= node)


@given(ids)
def test_serves__longer_bit_string_of_zeroes__is_never_a_subset(node):
    have = Capabilities.of(node)
    job = Capabilities(words=(0,) * (len(have.words) + 1))
    assert not have.serves(job)
    assert have.serves(Capabilities(words=(0,) * len(have.words)))


@given(ids, ids)
def test_serves__mandatories__must_be_known_to_the_job(mandatory, job):
    node = replace(Capabilities.of(mandatory | job), mandatories=Capabilities.of(mandatory).words)
    assert node.serves(Capabilities.of(job)) == (mandatory <= job)


@given(capacities, capacities, capacities)
def test_workers__order_of_joining__does_not_matter(own, first, second):
    base, one, two = worker_with(own), worker_with(first), worker_with(second)
    joined = base.with_worker(one).with_worker(two)
    assert joined.words == base.with_worker(two).with_worker(one).words
    assert dict(joined.capacities) == dict(base.with_worker(two).with_worker(one).capacities)
    assert joined.ids == own.keys() | first.keys() | second.keys()
    for capability in joined.ids:
        assert joined.capacities[capability] == sum(part.get(capability, 0) for part in (own, first, second))


@given(versions, versions)
def test_version_rule__is_an_order(one, other):
    assert version_satisfies(one, other) or version_satisfies(other, one)
    assert version_satisfies(one, f"v{one}-suffix")


@pytest.mark.parametrize(
    ("minimum", "version", "fits"),
    [
        ("", "", True),
        ("0.8.0", "", False),
        ("0.8.0", "undefined", False),
        ("0.8.0", "0.8.0", True),
        ("0.8.0", "0.8.0-dirty", True),
        ("0.8.1-after", "0.8.1", True),
        ("0.8.0", "0.10.0", True),
        ("0.10.0", "0.8.0", False),
        ("v1", "1.0.0+meta", True),
        ("nonsense", "0.1.0", True),
        ("0.1.0", "nonsense", False),
        ("0.9.1", WIRE_VERSION, True),
        ("9" * 5000, "0.1.0", True),  # no number that Python would read, so no version
    ],
)
def test_version_rule(minimum, version, fits):
    assert version_satisfies(minimum, version) is fits


@pytest.mark.parametrize(
    ("offered", "asked", "fits"),
    [
        ({27: {"m": ModelConstraint(warm=True)}}, {27: {"m": ModelConstraint(warm=True)}}, True),
        ({27: {"m": ModelConstraint(warm=False)}}, {27: {"m": ModelConstraint(warm=True)}}, False),
        ({27: {"m": ModelConstraint(warm=True)}}, {27: {"m": ModelConstraint()}}, True),
        ({27: {"m": ModelConstraint()}}, {27: {"n": ModelConstraint()}}, False),
        ({}, {27: {"n": ModelConstraint()}}, True),
        (
            {27: {"m": ModelConstraint(runner_version="0.13.0")}},
            {27: {"m": ModelConstraint(runner_version="0.14.0")}},
            False,
        ),
        ({27: {"m": ModelConstraint()}}, {27: {"m": ModelConstraint(runner_version="0.14.0")}}, False),
    ],
)
def test_serves__models(offered, asked, fits):
    node = Capabilities(models=offered)
    assert node.serves(Capabilities(models=asked)) is fits


def test_serves__minimum_version_of_the_job__is_kept():
    assert Capabilities(version=WIRE_VERSION).serves(Capabilities(min_version="0.9.0"))
    assert not Capabilities(version=WIRE_VERSION).serves(Capabilities(min_version="0.10.0"))


def test_default_set__is_the_reference_word():
    assert Capabilities.of(DEFAULT_CAPABILITIES).words == (67133439,)


def test_pipelines__names_and_ids_agree():
    assert capability_of_pipeline("text-to-image") is Capability.TEXT_TO_IMAGE
    assert capability_of_pipeline("live-video-to-video") is Capability.LIVE_VIDEO_TO_VIDEO
    assert capability_of_pipeline("byoc") is None
    assert capability_of_pipeline("h264") is None
    assert pipeline_of_capability(27) == "text-to-image"
    assert pipeline_of_capability(12) is None


def test_priced_models__without_capacities__are_none():
    models = {27: {"b": ModelConstraint(), "a": ModelConstraint()}}
    assert Capabilities(models=models).priced_models == ()
    assert Capabilities(models=models, capacities={27: 1}).priced_models == (
        ("text-to-image", "a"),
        ("text-to-image", "b"),
    )


def test_required_for__says_what_a_gateway_would():
    assert required_for([a_profile()]).ids == {0, 1, 12}
    profile = a_profile(
        container=Container.MP4, codec=VideoCodec.H265, gop_ms=2000, fps_den=1001, h264_profile=H264Profile.MAIN
    )
    assert required_for([profile], clip=True).ids == {0, 2, 3, 8, 11, 12, 16, 26}


def test_needs_of__stated_bits_win():
    stated = Capabilities.of({12, 15})
    assert needs_of(a_job(), stated) is stated
    assert needs_of(a_job(clip_from_ms=1), Capabilities()).ids == {0, 1, 12, 26}
