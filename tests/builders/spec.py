"""Fleet files for tests."""

from pathlib import Path

from livefleet.spec import Fleet, SpecError, load_fleet

README_EXAMPLE = """\
name: demo
network: {name: arbitrum-one-mainnet, rpc: [https://arb1.example.com/rpc]}
keys: {orchestrator: {file: keys/orchestrator.json, password: {file: keys/passphrase}}}
defaults: {profile: cpu, prices: {video: 1200 wei}}
hosts:
  gpu-1: {address: 203.0.113.10, role: orchestrator, duties: [transcoding, reward, redemption], \
orchestrator: {service_uri: https://gpu-1.example.com:8935, key: orchestrator}}
"""

HEAD = """\
name: demo
network: offchain
secrets: {pool: {env: POOL_SECRET}}
"""


def a_fleet(folder: Path, text: str, **profiles: str) -> Fleet:
    """Write fleet.yaml and the profiles into `folder` and load them. Other profiles than these are not found."""
    (folder / "profiles").mkdir(exist_ok=True)
    for name, profile in profiles.items():
        (folder / "profiles" / f"{name}.yaml").write_text(profile)
    path = folder / "fleet.yaml"
    path.write_text(text)
    return load_fleet(path, profiles=[folder / "profiles"])


def problems(folder: Path, text: str, **profiles: str) -> list[str]:
    """What is wrong with it, as printed, less the folder."""
    try:
        a_fleet(folder, text, **profiles)
    except SpecError as error:
        return [str(problem).removeprefix(f"{folder}/") for problem in error.problems]
    raise AssertionError("nothing is wrong with it")


def a_big_fleet(hosts: int = 1000) -> str:
    """A fleet of many workers: about eight keys a host, ten groups."""
    lines = [
        "name: big",
        "network: {name: arbitrum-one-mainnet, rpc: [https://arb1.example.com/rpc]}",
        "secrets: {pool: {file: secrets/pool}}",
        "defaults: {profile: cpu, prices: {video: 1200 wei}}",
        "groups:",
    ]
    for group in range(10):
        lines += [f"  site-{group}:", "    driver: {branch: 580}", "    monitoring:", "      log_level: INFO"]
    lines.append("hosts:")
    for host in range(hosts):
        lines += [
            f"  gpu-{host:04}:",
            f"    address: 10.0.{host // 250}.{host % 250}",
            f"    groups: [site-{host % 10}]",
            "    profile: nvidia-turing",
            "    role: worker",
            "    duties: [transcoding]",
            f"    gpus: [GPU-{host:08}-1111-2222-3333-444455556666]",
            "    worker: {orchestrator: 'orch.example.com:8935', secret: pool}",
            "    prices: {video: 1300 wei}",
        ]
    return "\n".join(lines) + "\n"
