"""What an examination can find wrong with a host: a name for each, which stays from release to release."""

from enum import StrEnum

__all__ = ["Trouble"]


class Trouble(StrEnum):
    """One kind of finding that somebody should act on. Programs tell findings by it, people by area and message."""

    # host
    HOST_UNREACHABLE = "host-unreachable"
    PACKAGES_MISSING = "packages-missing"  # of livefleet's own environment
    NGINX_MISSING = "nginx-missing"
    DATABASE_UNUSABLE = "database-unusable"
    MEMORY_LOW = "memory-low"
    FEW_OPEN_FILES = "few-open-files"
    REBOOT_WAITS = "reboot-waits"

    # disk, clock
    DISK_FULL = "disk-full"
    DISK_LOW = "disk-low"
    CLOCK_NOT_KEPT = "clock-not-kept"
    CLOCK_DIFFERS = "clock-differs"

    # keys
    SECRET_UNREADABLE = "secret-unreadable"  # noqa: S105 -- a name
    KEY_UNUSABLE = "key-unusable"
    KEY_OPEN_TO_OTHERS = "key-open-to-others"

    # driver: the kernel's side
    NOUVEAU_LOADED = "nouveau-loaded"
    MODULE_NOT_LOADED = "module-not-loaded"
    DEVICES_MISSING = "devices-missing"  # fewer in NVML than on the bus
    DEVICE_NODES_LOCKED = "device-nodes-locked"

    # driver: its libraries
    VIDEO_LIBRARIES_MISSING = "video-libraries-missing"
    DRIVER_MISMATCH = "driver-mismatch"  # module and library
    NVML_MISSING = "nvml-missing"
    DRIVER_NOT_LOADED = "driver-not-loaded"  # as NVML sees it
    NVML_NOT_ANSWERING = "nvml-not-answering"
    NVML_REFUSED = "nvml-refused"
    NVML_BLOCKED = "nvml-blocked"
    NVML_FAILED = "nvml-failed"
    DRIVER_TOO_OLD = "driver-too-old"
    DRIVER_VERSION_UNKNOWN = "driver-version-unknown"

    # driver: one GPU
    GPU_MISSING = "gpu-missing"  # declared and not there
    GPU_UNKNOWN = "gpu-unknown"  # declared, and NVML cannot be asked
    GPU_LOST = "gpu-lost"
    GPU_RESET_REQUIRED = "gpu-reset-required"
    GPU_FAILED = "gpu-failed"

    # the public door
    NO_NAME = "no-name"
    PORT_REFUSED = "port-refused"
    PORT_SILENT = "port-silent"
    PORT_SLOW = "port-slow"
    NO_TLS = "no-tls"
    CERTIFICATE_ENDED = "certificate-ended"
    CERTIFICATE_ENDS_SOON = "certificate-ends-soon"
    ADDRESS_TAKEN = "address-taken"  # before a start

    # chain
    CHAIN_NOT_ANSWERING = "chain-not-answering"
    CHAIN_OTHER = "chain-other"
    CHAIN_NO_PROTOCOL = "chain-no-protocol"
    CHAIN_BEHIND = "chain-behind"
    CHAIN_SLOW = "chain-slow"
    CHAIN_ONE_ENDPOINT = "chain-one-endpoint"

    # the service, what it runs, what it says of itself
    RELEASE_MISSING = "release-missing"
    RELEASE_TOO_OLD = "release-too-old"  # it cannot examine its host
    EXAMINATION_FAILED = "examination-failed"
    AGENT_DOWN = "agent-down"
    AGENT_SILENT = "agent-silent"
    SPEC_DIFFERS = "spec-differs"  # node.yaml from the fleet file
    SPEC_NOT_TAKEN = "spec-not-taken"  # what runs from node.yaml
    NODE_NOT_SERVING = "node-not-serving"  # a condition keeps it from that
    NODE_CONDITION = "node-condition"  # another that does not hold
