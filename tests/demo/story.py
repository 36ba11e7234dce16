"""What the demo does, step by step; each step can be repeated."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from livefleet.kernel import OutsideWorld, Wei
from tests.demo.settings import MODEL_ID, DemoSettings
from tests.devchain.accounts import dev_secret, dev_signer
from tests.devchain.chain import Devchain

__all__ = ["Story"]

ORCHESTRATOR, GATEWAY = 1, 4  # accounts of the public test mnemonic
FUNDS = Wei(10**18)
PARAMS_VALID_BLOCKS = 40
RENDITIONS = ("P144p30fps16x9", "P240p30fps16x9", "P360p30fps16x9")
PATIENCE_S = 90.0


class Story:
    """The demo in one folder."""

    def __init__(self, folder: Path, out: Console) -> None:
        self._folder = folder
        self._out = out
        self._started = time.monotonic()
        self._settings = DemoSettings.load(folder)
        self._fleet = folder / "fleet.yaml"
        self._gateway_key = folder / "keys/gateway.hex"

    async def run(self) -> dict[str, Any]:
        """All of it; returns what it showed."""
        self._step("starting a local chain with the protocol's contracts")
        async with await Devchain.up(self._folder / "chain", round_length=100) as chain:
            await self._prepare(chain)
            self._step("applying the fleet to this machine with pyinfra")
            self._livefleet("apply", "--fleet", str(self._fleet), "--yes")
            before = self._status()
            self._step("streaming a generated 20 s clip with sound through the paying gateway, three renditions")
            stream = self._gateway("transcode", "--sample", "20", *(f"--profile={name}" for name in RENDITIONS))
            self._step("making one image, paid as well")
            image = self._gateway(
                "text-to-image", "--model", MODEL_ID, "--prompt", "a lighthouse in the rain", "--width", "64",
                "--height", "64", "--steps", "4", "--seed", "7", "--out", str(self._folder / "images"),
            )  # fmt: skip
            self._step("letting the tickets' parameters expire, so that winners can be redeemed")
            await chain.mine(PARAMS_VALID_BLOCKS + 1)
            redeemed = await self._until(
                "winning tickets redeemed", lambda s: s["payments"]["tickets"]["pending"]["count"] == 0
            )
            self._step("forcing a new round, so that reward is due")
            number = await chain.next_round()
            after = await self._until(f"reward called in round {number}", lambda s: _rewarded(s, number))
            rewarded = await chain.client.bonding.transcoder(dev_signer(ORCHESTRATOR).address)
            fees = await chain.client.bonding.pending_fees(dev_signer(ORCHESTRATOR).address)
        shown = {
            "seconds": round(time.monotonic() - self._started, 1),
            "stream": stream,
            "image": image,
            "tickets": after["payments"]["tickets"],
            "tickets_before": before["payments"]["tickets"],
            "paid_wei": redeemed["payments"]["paid_wei"],
            "fees_on_chain_wei": fees,
            "reward": {"round": number, "last_reward_round": rewarded.last_reward_round},
            "price_wei_per_pixel": after["payments"]["price_wei_per_pixel"],
            "conditions": after["conditions"],
            "ok": stream["ok"] and rewarded.last_reward_round == number and after["ready"],
        }
        self._show(shown)
        return shown

    async def down(self, *, keep: bool) -> None:
        """Stop what runs; remove the folder unless told to keep it."""
        if self._fleet.exists():
            self._step("taking the node off this machine")
            purge = () if keep else ("--purge",)
            self._livefleet("apply", "--fleet", str(self._fleet), "--remove", *purge, "--yes")
        self._step("stopping the local chain")
        await Devchain.down(self._folder / "chain")
        if not keep:
            await asyncio.to_thread(shutil.rmtree, self._folder)
            self._out.print(f"removed {self._folder}")

    async def _prepare(self, chain: Devchain) -> None:
        keys = self._folder / "keys"
        keys.mkdir(mode=0o700, exist_ok=True)
        for name, account in (("orchestrator", ORCHESTRATOR), ("gateway", GATEWAY)):
            (keys / f"{name}.hex").touch(mode=0o600)
            (keys / f"{name}.hex").write_text(dev_secret(account).hex() + "\n")
        self._fleet.write_text(self._settings.fleet_yaml(self._folder, chain.info))
        orchestrator, gateway = dev_signer(ORCHESTRATOR), dev_signer(GATEWAY)
        if not await chain.client.bonding.is_active(orchestrator.address):
            self._step("staking for the orchestrator and registering it")
            uri = f"https://127.0.0.1:{self._settings.front_door}"
            await chain.activate_orchestrator(orchestrator, service_uri=uri, ai_service_uri=uri)
        funds = await chain.client.broker.sender_info(gateway.address, orchestrator.address)
        if funds.deposit < FUNDS // 2:
            self._step("funding the gateway's deposit and reserve")
            await chain.fund_gateway(gateway.address, deposit=FUNDS, reserve=FUNDS)
        self._step("making a tiny model with random weights")
        self._program("livefleet.ai.tiny", str(self._folder / "node/var/lib/livefleet/models/tiny-random"))

    def _livefleet(self, *arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", "livefleet", *arguments], check=False, stdout=self._out.file)
        if done.returncode != 0:
            raise OutsideWorld(f"livefleet {arguments[0]} ended with {done.returncode}; see above")

    def _program(self, module: str, *arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", module, *arguments], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise OutsideWorld(f"{module} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")

    def _gateway(self, verb: str, *arguments: str) -> dict[str, Any]:
        uri = f"https://127.0.0.1:{self._settings.front_door}"
        command = [
            sys.executable, "-m", "livefleet", "gateway", verb, "--orchestrator", uri,
            "--key-file", str(self._gateway_key), "--json", *arguments,
        ]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if not done.stdout.strip():
            raise OutsideWorld(f"livefleet gateway {verb} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        shown: dict[str, Any] = json.loads(done.stdout)
        return shown

    def _status(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._settings.admin}/status"
        with urllib.request.urlopen(url, timeout=5) as answer:
            status: dict[str, Any] = json.load(answer)
        return status

    async def _until(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            status = await asyncio.to_thread(self._status)
            if holds(status):
                return status
            await asyncio.sleep(0.5)
        raise OutsideWorld(
            f"not seen within {PATIENCE_S:g} s: {what}; http://127.0.0.1:{self._settings.admin}/ says why"
        )

    def _step(self, text: str) -> None:
        self._out.print(f"[bold]{time.monotonic() - self._started:6.1f} s[/]  {text}")

    def _show(self, shown: dict[str, Any]) -> None:
        self._out.print()
        segments = shown["stream"]["segments"]
        table = Table("rendition", "size", "segments", "frames", "pixels", "sound", box=None, title="Renditions")
        for position, first in enumerate(segments[0]["renditions"] if segments else []):
            of_it = [s["renditions"][position] for s in segments]
            table.add_row(
                first["profile"], f"{first['width']}x{first['height']}", str(len(of_it)),
                str(sum(r["frames"] for r in of_it)), f"{sum(r['pixels'] for r in of_it):,}",
                "yes" if all(r["has_audio"] for r in of_it) else "no",
            )  # fmt: skip
        self._out.print(table)
        tickets = shown["tickets"]
        facts = {
            "signatures and pixel counts": "all right" if shown["stream"]["ok"] else "WRONG, see the stream's problems",
            "image": ", ".join(shown["image"]["files"]),
            "price": f"{shown['price_wei_per_pixel']} wei per pixel declared, {shown['stream']['price']} charged",
            "tickets": ", ".join(
                f"{tickets[k]['count']} {k}" for k in ("received", "won", "redeemed", "pending", "lost")
            ),
            "redemptions paid": f"{shown['paid_wei']:,} wei; on chain the orchestrator's fees are "
            f"{shown['fees_on_chain_wei']:,} wei",
            "reward": f"called in round {shown['reward']['last_reward_round']} (the current one is "
            f"{shown['reward']['round']})",
        }
        table = Table(show_header=False, box=None)
        for name, value in facts.items():
            table.add_row(name, value)
        self._out.print(table)
        table = Table("condition", "about", "status", "message", box=None, title="Conditions")
        for c in shown["conditions"]:
            table.add_row(c["name"], c["subject"], c["status"], c["message"])
        self._out.print(table)
        verdict = "[green]The road runs[/]" if shown["ok"] else "[red]Something is missing[/]"
        self._out.print(
            f"\n{verdict}, after {shown['seconds']} s.\n\n"
            f"look further   .venv/bin/livefleet status --fleet {self._fleet}\n"
            f"               http://127.0.0.1:{self._settings.admin}/ (admin page), /metrics\n"
            f"               {self._folder}/node (its files), {self._folder}/images\n"
            f"stop           ./run down"
        )


def _rewarded(status: dict[str, Any], number: int) -> bool:
    return any(
        c["name"] == "RewardCalled" and c["status"] == "true" and str(number) in c["message"]
        for c in status["conditions"]
    )
