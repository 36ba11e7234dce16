/* A stand-in for libnvidia-ml.so.1: what it answers is read, on every call, from the text file named by
 * LIVEFLEET_NVML_STATE, so that a test can change the hardware while an agent runs.
 *
 *   init 0                       return code of nvmlInitWithFlags (9: no driver, 18: version mismatch)
 *   shutdown 0                   return code of nvmlShutdown
 *   driver 580.65.06
 *   cuda 13000
 *   count 2
 *   gpu0.uuid GPU-...            also: name, bus, mem_total, mem_used, temp, power, util, util_mem, enc, dec,
 *   gpu0.error 15                      major, minor; error: every call on that device returns this code
 *   gpu0.procs 17:1048576,18:na        pid:bytes of each process that computes; na: its memory is not told
 *   hang_ms 2000                 every call on a device sleeps first
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void *device_t;

static int lookup(const char *key, char *out, size_t size) {
    const char *path = getenv("LIVEFLEET_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512];
    int found = 0;
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        char *value = strchr(line, ' ');
        if (!value) continue;
        *value++ = 0;
        value[strcspn(value, "\n")] = 0;
        if (strcmp(line, key) == 0) {
            snprintf(out, size, "%s", value);
            found = 1;
        }
    }
    fclose(file);
    return found;
}

static long long number(const char *key, long long fallback) {
    char text[64];
    return lookup(key, text, sizeof text) ? atoll(text) : fallback;
}

static int index_of(device_t device) { return (int)(long)device - 1; }

static const char *device_key(device_t device, const char *field, char *key, size_t size) {
    snprintf(key, size, "gpu%d.%s", index_of(device), field);
    return key;
}

/* The code every call on a device starts with: hang, fault, or 0. */
static int device_fault(device_t device) {
    char key[64];
    long long hang_ms = number("hang_ms", 0);
    if (hang_ms > 0) usleep((useconds_t)hang_ms * 1000);
    return (int)number(device_key(device, "error", key, sizeof key), 0);
}

static int device_number(device_t device, const char *field, long long *out) {
    char key[64], text[64];
    int fault = device_fault(device);
    if (fault) return fault;
    if (!lookup(device_key(device, field, key, sizeof key), text, sizeof text)) return 3;
    *out = atoll(text);
    return 0;
}

static int device_text(device_t device, const char *field, char *out, unsigned size) {
    char key[64];
    int fault = device_fault(device);
    if (fault) return fault;
    return lookup(device_key(device, field, key, sizeof key), out, size) ? 0 : 3;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    return (int)number("init", 0);
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return (int)number("shutdown", 0); }

const char *nvmlErrorString(int code) {
    switch (code) {
        case 0: return "Success";
        case 3: return "Not Supported";
        case 9: return "Driver Not Loaded";
        case 15: return "GPU is lost";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) { return lookup("driver", out, size) ? 0 : 999; }
int nvmlSystemGetCudaDriverVersion(int *out) { *out = (int)number("cuda", 13000); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { return nvmlSystemGetCudaDriverVersion(out); }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)number("count", 0); return 0; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t *out) {
    if (index >= (unsigned)number("count", 0)) return 2;
    *out = (device_t)(long)(index + 1);
    return 0;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device_t *out) {
    unsigned count = (unsigned)number("count", 0);
    for (unsigned i = 0; i < count; i++) {
        char key[64], text[128];
        device_t device = (device_t)(long)(i + 1);
        if (lookup(device_key(device, "uuid", key, sizeof key), text, sizeof text) && strcmp(text, uuid) == 0) {
            *out = device;
            return 0;
        }
    }
    return 6;
}

int nvmlDeviceGetUUID(device_t device, char *out, unsigned size) { return device_text(device, "uuid", out, size); }
int nvmlDeviceGetName(device_t device, char *out, unsigned size) { return device_text(device, "name", out, size); }

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
int nvmlDeviceGetPciInfo_v3(device_t device, pci_t *out) {
    memset(out, 0, sizeof *out);
    return device_text(device, "bus", out->bus_id, sizeof out->bus_id);
}

typedef struct { unsigned long long total, free, used; } memory_t;
int nvmlDeviceGetMemoryInfo(device_t device, memory_t *out) {
    long long total = 0, used = 0;
    int code = device_number(device, "mem_total", &total);
    if (!code) code = device_number(device, "mem_used", &used);
    if (code) return code;
    out->total = (unsigned long long)total;
    out->used = (unsigned long long)used;
    out->free = out->total - out->used;
    return 0;
}

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;
int nvmlDeviceGetMemoryInfo_v2(device_t device, memory_v2_t *out) {
    memory_t plain;
    int code = nvmlDeviceGetMemoryInfo(device, &plain);
    if (code) return code;
    out->total = plain.total;
    out->reserved = 0;
    out->free = plain.free;
    out->used = plain.used;
    return 0;
}

typedef struct { unsigned gpu, memory; } utilization_t;
int nvmlDeviceGetUtilizationRates(device_t device, utilization_t *out) {
    long long gpu = 0, memory = 0;
    int code = device_number(device, "util", &gpu);
    if (code) return code;
    if (device_number(device, "util_mem", &memory)) memory = 0;
    out->gpu = (unsigned)gpu;
    out->memory = (unsigned)memory;
    return 0;
}

static int engine(device_t device, const char *field, unsigned *out, unsigned *period_us) {
    long long value = 0;
    int code = device_number(device, field, &value);
    *out = (unsigned)value;
    *period_us = 167000;
    return code;
}
int nvmlDeviceGetEncoderUtilization(device_t d, unsigned *out, unsigned *us) { return engine(d, "enc", out, us); }
int nvmlDeviceGetDecoderUtilization(device_t d, unsigned *out, unsigned *us) { return engine(d, "dec", out, us); }

typedef struct { unsigned version, sensor; int temperature; } temperature_t;
int nvmlDeviceGetTemperatureV(device_t device, temperature_t *out) {
    long long value = 0;
    int code = device_number(device, "temp", &value);
    out->temperature = (int)value;
    return code;
}
int nvmlDeviceGetTemperature(device_t device, unsigned sensor, unsigned *out) {
    long long value = 0;
    int code = device_number(device, "temp", &value);
    (void)sensor;
    *out = (unsigned)value;
    return code;
}

int nvmlDeviceGetPowerUsage(device_t device, unsigned *out) {
    long long value = 0;
    int code = device_number(device, "power", &value);
    *out = (unsigned)value;
    return code;
}

int nvmlDeviceGetCudaComputeCapability(device_t device, int *major, int *minor) {
    long long high = 0, low = 0;
    int code = device_number(device, "major", &high);
    if (!code) code = device_number(device, "minor", &low);
    *major = (int)high;
    *minor = (int)low;
    return code;
}

typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;
int nvmlDeviceGetComputeRunningProcesses_v3(device_t device, unsigned *count, process_t *out) {
    char text[400] = "";
    unsigned room = out ? *count : 0, found = 0;
    int code = device_text(device, "procs", text, sizeof text);
    if (code) return code;
    for (char *rest = NULL, *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        char *bytes = strchr(one, ':');
        if (bytes && found < room)
            out[found] = (process_t){(unsigned)atol(one), bytes[1] == 'n' ? ~0ULL : (unsigned long long)atoll(bytes + 1),
                                     ~0u, ~0u};
        found += bytes != NULL;
    }
    *count = found;
    return found > room ? 7 : 0; /* NVML_ERROR_INSUFFICIENT_SIZE */
}
