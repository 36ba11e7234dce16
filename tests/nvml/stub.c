/* A stand-in for libnvidia-ml.so.1: what it answers is read, on every call, from the text file named by
 * LIVEFLEET_NVML_STATE, so that a test can change the hardware while an agent runs. It is parsed when it has changed.
 *
 *   init 0                       return code of nvmlInitWithFlags (9: no driver, 18: version mismatch)
 *   shutdown 0                   return code of nvmlShutdown
 *   driver 580.65.06
 *   cuda 13000
 *   count 2
 *   epoch 1                      another number: the driver was loaded anew, what was opened before is of no use
 *   listed_at_init 1             devices are counted when NVML is initialised, as the real library does
 *   gpu0.uuid GPU-...            also: name, bus, mem_total, mem_used, temp, power, util, util_mem, enc, dec, major, minor,
 *                                reasons, power_limit, clock_sm, clock_mem, fan, slowdown, shutdown, pcie_gen, pcie_width,
 *                                pcie_max_gen, pcie_max_width, replays, persistence, mig ("0 1": now, pending), sessions, energy,
 *                                ecc ("corrected uncorrected" volatile, then aggregate), remapped ("correctable
 *                                uncorrectable pending failed"), retired ("single double pending"), recovery, events;
 *                                one that is not there is "not supported"
 *   gpu0.error 15                every call on that device returns this code
 *   gpu0.error.GetPowerUsage 999 that call alone
 *   gpu0.hang_ms 2000            every call on that device sleeps first, until this is over or gone from the file
 *   gpu0.hang_ms.GetName 2000    that call alone
 *   gpu0.procs 17:1048576,18:na        pid:bytes of each process that computes; na: its memory is not told
 *   gpu0.fields 0                nvmlDeviceGetFieldValues is not supported
 *   hang_ms 2000                 the same for every call on a device; hang_ms.Init, .GetCount, .EventSetWait for these
 *   error.GetCount 999           the code of a call that is on no device
 *
 * Events are lines `INDEX TYPE DATA` (type 8: Xid, its number is the data) appended to the file of that name with
 * `.events`. A set hands out those of its registered devices and types that came after it was made.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef void *device_t;
typedef struct { unsigned long long size, inode; long long seconds, nanoseconds; } stamp_t;

enum { SLOTS = 4096, MOST_TEXT = 1 << 18, MOST_SETS = 64 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static stamp_t seen;
static char text[MOST_TEXT];
static struct { const char *key, *value; } table[SLOTS];
static int opened;            /* how many times NVML is initialised */
static unsigned generation;   /* of handles: old ones are of no use after the last shutdown */
static long long epoch, listed;

static unsigned hash(const char *key) {
    unsigned value = 2166136261u;
    for (; *key; key++) value = (value ^ (unsigned char)*key) * 16777619u;
    return value % SLOTS;
}

static int stamp_of(const char *path, stamp_t *out) {
    struct stat now;
    if (!path || stat(path, &now)) return 0;
    *out = (stamp_t){(unsigned long long)now.st_size, (unsigned long long)now.st_ino, now.st_mtim.tv_sec, now.st_mtim.tv_nsec};
    return 1;
}

static void refresh(void) {
    const char *path = getenv("LIVEFLEET_NVML_STATE");
    stamp_t now = {0, 0, 0, 0};
    if (stamp_of(path, &now) && memcmp(&now, &seen, sizeof now) == 0) return;
    seen = now;
    memset(table, 0, sizeof table);
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, ' ');
        if (!value) continue;
        *value++ = 0;
        unsigned slot = hash(line);
        while (table[slot].key && strcmp(table[slot].key, line)) slot = (slot + 1) % SLOTS;
        table[slot].key = line;
        table[slot].value = value;
    }
}

/* The callers below hold the lock. */
static const char *find(const char *key) {
    for (unsigned slot = hash(key); table[slot].key; slot = (slot + 1) % SLOTS)
        if (strcmp(table[slot].key, key) == 0) return table[slot].value;
    return NULL;
}

static long long number(const char *key, long long fallback) {
    const char *value = find(key);
    return value ? atoll(value) : fallback;
}

static long long either(const char *key, const char *call, long long fallback) {
    char longer[96];
    snprintf(longer, sizeof longer, "%s.%s", key, call);
    return number(longer, number(key, fallback));
}

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Sleep as long as the file says so. The lock is held when it is called and when it returns. */
static void hang(const char *device, const char *call) {
    char key[48];
    long long began = now_ms();
    snprintf(key, sizeof key, "%s.hang_ms", device);
    for (;;) {
        long long most = *device ? either(key, call, 0) : 0;
        if (!most && *device) most = number("hang_ms", 0);
        if (!*device) {
            snprintf(key, sizeof key, "hang_ms.%s", call);
            most = number(key, 0);
        }
        if (now_ms() - began >= most) return;
        pthread_mutex_unlock(&lock);
        usleep(5000);
        pthread_mutex_lock(&lock);
        refresh();
    }
}

/* Start a call that is on no device: its code. Takes the lock. */
static int enter(const char *call) {
    char key[64];
    pthread_mutex_lock(&lock);
    refresh();
    hang("", call);
    snprintf(key, sizeof key, "error.%s", call);
    return (int)number(key, 0);
}

static int leave(int code) {
    pthread_mutex_unlock(&lock);
    return code;
}

static int index_of(device_t device) { return (int)((unsigned long)device & 0xffff) - 1; }

static int session_fault(void) {
    if (!opened) return 1; /* NVML_ERROR_UNINITIALIZED */
    return number("epoch", 0) != epoch ? 999 : 0;
}

/* Start a call on a device: its code. Takes the lock, and gives the beginning of the device's keys. */
static int enter_device(device_t device, const char *call, char *prefix, size_t size) {
    char key[48];
    pthread_mutex_lock(&lock);
    refresh();
    snprintf(prefix, size, "gpu%d", index_of(device));
    hang(prefix, call);
    int code = session_fault();
    if (code) return code;
    if (((unsigned long)device >> 16) != generation) return 2; /* NVML_ERROR_INVALID_ARGUMENT */
    snprintf(key, sizeof key, "%s.error", prefix);
    return (int)either(key, call, 0);
}

static const char *field_of(const char *prefix, const char *field) {
    char key[64];
    snprintf(key, sizeof key, "%s.%s", prefix, field);
    return find(key);
}

/* `most` numbers of one field; 3, not supported, if it is not there. */
static int numbers(device_t device, const char *call, const char *field, int most, long long *out) {
    char prefix[16];
    int code = enter_device(device, call, prefix, sizeof prefix);
    if (code) return leave(code);
    const char *value = field_of(prefix, field);
    if (!value) return leave(3);
    for (int i = 0; i < most; i++) {
        char *end;
        out[i] = strtoll(value, &end, 10);
        value = end;
    }
    return leave(0);
}

static int words(device_t device, const char *call, const char *field, char *out, unsigned size) {
    char prefix[16];
    int code = enter_device(device, call, prefix, sizeof prefix);
    if (code) return leave(code);
    const char *value = field_of(prefix, field);
    if (!value) return leave(3);
    snprintf(out, size, "%s", value);
    return leave(0);
}

static int one(device_t device, const char *call, const char *field, unsigned *out) {
    long long value = 0;
    int code = numbers(device, call, field, 1, &value);
    *out = (unsigned)value;
    return code;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = enter("Init");
    if (!code) code = (int)number("init", 0);
    if (!code && opened++ == 0) {
        generation++;
        epoch = number("epoch", 0);
        listed = number("count", 0);
    }
    return leave(code);
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    int code = enter("Shutdown");
    if (!code) code = (int)number("shutdown", 0);
    if (opened) opened--;
    return leave(code);
}

const char *nvmlErrorString(int code) {
    switch (code) {
        case 0: return "Success";
        case 1: return "Uninitialized";
        case 2: return "Invalid Argument";
        case 3: return "Not Supported";
        case 4: return "Insufficient Permissions";
        case 9: return "Driver Not Loaded";
        case 10: return "Timeout";
        case 13: return "Function Not Found";
        case 15: return "GPU is lost";
        case 16: return "GPU requires reset";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    int code = enter("GetDriverVersion");
    const char *value = find("driver");
    if (!code && !value) code = 999;
    if (!code) snprintf(out, size, "%s", value);
    return leave(code);
}
int nvmlSystemGetCudaDriverVersion(int *out) {
    int code = enter("GetCudaDriverVersion");
    *out = (int)number("cuda", 13000);
    return leave(code);
}
int nvmlSystemGetCudaDriverVersion_v2(int *out) { return nvmlSystemGetCudaDriverVersion(out); }

static long long count(void) { return number("listed_at_init", 0) ? listed : number("count", 0); }

int nvmlDeviceGetCount_v2(unsigned *out) {
    int code = enter("GetCount");
    if (!code) code = session_fault();
    *out = (unsigned)count();
    return leave(code);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t *out) {
    char key[32];
    int code = enter("GetHandleByIndex");
    if (!code) code = session_fault();
    snprintf(key, sizeof key, "gpu%u", index);
    if (!code && index < (unsigned)count()) hang(key, "GetHandleByIndex");
    snprintf(key, sizeof key, "gpu%u.error.GetHandleByIndex", index);
    if (!code) code = (int)number(key, 0);
    snprintf(key, sizeof key, "gpu%u.uuid", index);
    /* A count beyond all reason does not make devices. */
    if (!code && (index >= (unsigned)count() || (index >= 64 && !find(key)))) code = 2;
    *out = (device_t)(unsigned long)(((unsigned long)generation << 16) | (index + 1));
    return leave(code);
}

int nvmlDeviceGetUUID(device_t d, char *out, unsigned size) { return words(d, "GetUUID", "uuid", out, size); }
int nvmlDeviceGetName(device_t d, char *out, unsigned size) { return words(d, "GetName", "name", out, size); }

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
int nvmlDeviceGetPciInfo_v3(device_t device, pci_t *out) {
    memset(out, 0, sizeof *out);
    return words(device, "GetPciInfo", "bus", out->bus_id, sizeof out->bus_id);
}

typedef struct { unsigned long long total, free, used; } memory_t;
int nvmlDeviceGetMemoryInfo(device_t device, memory_t *out) {
    long long total = 0, used = 0;
    int code = numbers(device, "GetMemoryInfo", "mem_total", 1, &total);
    if (!code) code = numbers(device, "GetMemoryInfo", "mem_used", 1, &used);
    out->total = (unsigned long long)total;
    out->used = (unsigned long long)used;
    out->free = out->total - out->used;
    return code;
}

typedef struct { unsigned gpu, memory; } utilization_t;
int nvmlDeviceGetUtilizationRates(device_t device, utilization_t *out) {
    out->memory = 0;
    int code = one(device, "GetUtilizationRates", "util", &out->gpu);
    if (!code) one(device, "GetUtilizationRates", "util_mem", &out->memory);
    return code;
}

static int engine(device_t device, const char *call, const char *field, unsigned *out, unsigned *period_us) {
    *period_us = 167000;
    return one(device, call, field, out);
}
int nvmlDeviceGetEncoderUtilization(device_t d, unsigned *out, unsigned *us) {
    return engine(d, "GetEncoderUtilization", "enc", out, us);
}
int nvmlDeviceGetDecoderUtilization(device_t d, unsigned *out, unsigned *us) {
    return engine(d, "GetDecoderUtilization", "dec", out, us);
}
int nvmlDeviceGetEncoderStats(device_t device, unsigned *sessions, unsigned *fps, unsigned *latency_us) {
    *fps = *latency_us = 0;
    return one(device, "GetEncoderStats", "sessions", sessions);
}

#ifndef OLD_DRIVER
typedef struct { unsigned version, sensor; int temperature; } temperature_t;
int nvmlDeviceGetTemperatureV(device_t device, temperature_t *out) {
    return one(device, "GetTemperatureV", "temp", (unsigned *)&out->temperature);
}
int nvmlDeviceGetCurrentClocksEventReasons(device_t device, unsigned long long *out) {
    return numbers(device, "GetCurrentClocksEventReasons", "reasons", 1, (long long *)out);
}
#endif
int nvmlDeviceGetTemperature(device_t device, unsigned sensor, unsigned *out) {
    (void)sensor;
    return one(device, "GetTemperature", "temp", out);
}
int nvmlDeviceGetTemperatureThreshold(device_t device, unsigned threshold, unsigned *out) {
    return one(device, "GetTemperatureThreshold", threshold ? "slowdown" : "shutdown", out);
}
int nvmlDeviceGetFanSpeed(device_t d, unsigned *out) { return one(d, "GetFanSpeed", "fan", out); }
int nvmlDeviceGetCurrentClocksThrottleReasons(device_t device, unsigned long long *out) {
    return numbers(device, "GetCurrentClocksThrottleReasons", "reasons", 1, (long long *)out);
}
int nvmlDeviceGetClockInfo(device_t device, unsigned type, unsigned *out) {
    return one(device, "GetClockInfo", type == 2 ? "clock_mem" : "clock_sm", out);
}
int nvmlDeviceGetPowerUsage(device_t d, unsigned *out) { return one(d, "GetPowerUsage", "power", out); }
int nvmlDeviceGetEnforcedPowerLimit(device_t d, unsigned *out) {
    return one(d, "GetEnforcedPowerLimit", "power_limit", out);
}
int nvmlDeviceGetTotalEnergyConsumption(device_t device, unsigned long long *out) {
    return numbers(device, "GetTotalEnergyConsumption", "energy", 1, (long long *)out);
}
int nvmlDeviceGetCurrPcieLinkGeneration(device_t d, unsigned *out) {
    return one(d, "GetCurrPcieLinkGeneration", "pcie_gen", out);
}
int nvmlDeviceGetCurrPcieLinkWidth(device_t d, unsigned *out) { return one(d, "GetCurrPcieLinkWidth", "pcie_width", out); }
int nvmlDeviceGetMaxPcieLinkGeneration(device_t d, unsigned *out) {
    return one(d, "GetMaxPcieLinkGeneration", "pcie_max_gen", out);
}
int nvmlDeviceGetMaxPcieLinkWidth(device_t d, unsigned *out) {
    return one(d, "GetMaxPcieLinkWidth", "pcie_max_width", out);
}
int nvmlDeviceGetPcieReplayCounter(device_t d, unsigned *out) { return one(d, "GetPcieReplayCounter", "replays", out); }
int nvmlDeviceGetPersistenceMode(device_t d, unsigned *out) { return one(d, "GetPersistenceMode", "persistence", out); }

int nvmlDeviceGetMigMode(device_t device, unsigned *current, unsigned *pending) {
    long long modes[2] = {0, 0};
    int code = numbers(device, "GetMigMode", "mig", 2, modes);
    *current = (unsigned)modes[0];
    *pending = (unsigned)modes[1];
    return code;
}

int nvmlDeviceGetCudaComputeCapability(device_t device, int *major, int *minor) {
    int code = one(device, "GetCudaComputeCapability", "major", (unsigned *)major);
    return code ? code : one(device, "GetCudaComputeCapability", "minor", (unsigned *)minor);
}

/* Kinds and counters are 0 corrected, 1 uncorrected; 0 volatile, 1 aggregate. */
int nvmlDeviceGetTotalEccErrors(device_t device, unsigned kind, unsigned counter, unsigned long long *out) {
    long long counts[4] = {0, 0, 0, 0};
    int code = numbers(device, "GetTotalEccErrors", "ecc", 4, counts);
    *out = (unsigned long long)counts[(counter & 1) * 2 + (kind & 1)];
    return code;
}

int nvmlDeviceGetRemappedRows(device_t device, unsigned *right, unsigned *wrong, unsigned *pending, unsigned *failed) {
    long long rows[4] = {0, 0, 0, 0};
    int code = numbers(device, "GetRemappedRows", "remapped", 4, rows);
    *right = (unsigned)rows[0];
    *wrong = (unsigned)rows[1];
    *pending = (unsigned)rows[2];
    *failed = (unsigned)rows[3];
    return code;
}

typedef struct {
    unsigned id, scope;
    long long timestamp, latency_us;
    unsigned type, code;
    unsigned long long value;
} field_value_t;

/* Fields by NVML's numbers: where each stands in the state file. */
static const struct { unsigned id; const char *field; int place; } fields[] = {
    {3, "ecc", 0}, {4, "ecc", 1}, {5, "ecc", 2}, {6, "ecc", 3}, {29, "retired", 0}, {30, "retired", 1},
    {31, "retired", 2}, {94, "replays", 0}, {142, "remapped", 0}, {143, "remapped", 1}, {144, "remapped", 2},
    {145, "remapped", 3}, {230, "recovery", 0},
};

int nvmlDeviceGetFieldValues(device_t device, int many, field_value_t *out) {
    char prefix[16];
    int code = enter_device(device, "GetFieldValues", prefix, sizeof prefix);
    if (code) return leave(code);
    const char *told = field_of(prefix, "fields");
    if (told && atoi(told) == 0) return leave(3);
    for (int i = 0; i < many; i++) {
        out[i].code = 3;
        for (size_t j = 0; j < sizeof fields / sizeof *fields; j++) {
            const char *value = fields[j].id == out[i].id ? field_of(prefix, fields[j].field) : NULL;
            char *end;
            for (int place = 0; value && place < fields[j].place; place++, value = end) strtoll(value, &end, 10);
            if (!value) continue;
            out[i].code = 0;
            out[i].type = 3; /* unsigned long long */
            out[i].value = (unsigned long long)strtoll(value, NULL, 10);
        }
    }
    return leave(0);
}

typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;
int nvmlDeviceGetComputeRunningProcesses_v3(device_t device, unsigned *count, process_t *out) {
    char listed_processes[4000] = "";
    unsigned room = out ? *count : 0, found = 0;
    int code = words(device, "GetComputeRunningProcesses", "procs", listed_processes, sizeof listed_processes);
    if (code) return code;
    char *rest = NULL;
    for (char *process = strtok_r(listed_processes, ",", &rest); process; process = strtok_r(NULL, ",", &rest)) {
        char *bytes = strchr(process, ':');
        if (bytes && found < room)
            out[found] = (process_t){(unsigned)atol(process),
                                     bytes[1] == 'n' ? ~0ULL : (unsigned long long)atoll(bytes + 1), ~0u, ~0u};
        found += bytes != NULL;
    }
    *count = found;
    return found > room ? 7 : 0; /* NVML_ERROR_INSUFFICIENT_SIZE */
}

/* Events. */
typedef struct { long at; unsigned generation; unsigned long long types[64]; } set_t;
typedef struct { device_t device; unsigned long long type, data; unsigned gpu_instance, compute_instance; } event_t;
static set_t *sets[MOST_SETS];

static const char *events_path(char *path, size_t size) {
    const char *state = getenv("LIVEFLEET_NVML_STATE");
    snprintf(path, size, "%s.events", state ? state : "");
    return path;
}

static long events_size(void) {
    char path[1024];
    struct stat now;
    return stat(events_path(path, sizeof path), &now) ? 0 : (long)now.st_size;
}

int nvmlDeviceGetSupportedEventTypes(device_t device, unsigned long long *out) {
    return numbers(device, "GetSupportedEventTypes", "events", 1, (long long *)out);
}

int nvmlEventSetCreate(set_t **out) {
    int code = enter("EventSetCreate");
    if (!code) code = session_fault();
    for (int i = 0; !code && i < MOST_SETS; i++) {
        if (sets[i]) continue;
        sets[i] = *out = calloc(1, sizeof(set_t));
        (*out)->at = events_size();
        (*out)->generation = generation;
        return leave(0);
    }
    return leave(code ? code : 20); /* NVML_ERROR_MEMORY */
}

int nvmlDeviceRegisterEvents(device_t device, unsigned long long types, set_t *set) {
    long long supported = 0;
    int code = numbers(device, "RegisterEvents", "events", 1, &supported), index = index_of(device);
    if (code) return code;
    if (types & ~(unsigned long long)supported) return 3;
    if (index < 0 || index >= 64) return 2;
    set->types[index] |= types;
    return 0;
}

static int next_event(set_t *set, event_t *out) {
    char path[1024], line[128];
    FILE *file = set->at < events_size() ? fopen(events_path(path, sizeof path), "r") : NULL;
    if (!file) return 0;
    fseek(file, set->at, SEEK_SET);
    while (fgets(line, sizeof line, file)) {
        unsigned index;
        unsigned long long type, data;
        if (!strchr(line, '\n')) break; /* it is being written */
        set->at = ftell(file);
        if (sscanf(line, "%u %llu %llu", &index, &type, &data) != 3 || index >= 64 || !(set->types[index] & type)) continue;
        *out = (event_t){(device_t)(unsigned long)(((unsigned long)generation << 16) | (index + 1)), type, data, ~0u, ~0u};
        fclose(file);
        return 1;
    }
    fclose(file);
    return 0;
}

int nvmlEventSetWait_v2(set_t *set, event_t *out, unsigned timeout_ms) {
    long long until = now_ms() + timeout_ms;
    for (;;) {
        int code = enter("EventSetWait");
        if (!code) code = session_fault();
        if (!code && set->generation != generation) code = 2;
        if (!code && next_event(set, out)) return leave(0);
        leave(0);
        if (code) return code;
        long long left_ms = until - now_ms();
        if (left_ms <= 0) return 10; /* NVML_ERROR_TIMEOUT */
        usleep((useconds_t)(left_ms < 100 ? left_ms : 100) * 1000);
    }
}

int nvmlEventSetFree(set_t *set) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_SETS; i++)
        if (sets[i] == set) {
            sets[i] = NULL;
            free(set);
        }
    return leave(0);
}
