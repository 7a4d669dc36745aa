/* A libnvidia-ml for tests: the real names and signatures (NVML API reference, R550), one device, figures that are known.
   What it cannot do is chosen when it is compiled: -DOLD leaves the newer name out, -DNO_POWER refuses power,
   -DNO_DRIVER fails to start. Every call that reads something is counted in calls. */
#include <stdio.h>
#include <string.h>

#define OK 0
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define DRIVER_NOT_LOADED 9

typedef struct { int number; } *Device;
static struct { int number; } only = {7};
static int started, calls, energy_reads, reason_reads;

int fake_calls(void) { return calls; }
int fake_started(void) { return started; }

int nvmlInit_v2(void) {
#ifdef NO_DRIVER
    return DRIVER_NOT_LOADED;
#endif
    started++;
    energy_reads = reason_reads = calls = 0;
    return OK;
}
int nvmlShutdown(void) { started--; return OK; }

const char *nvmlErrorString(int code) {
    switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    default: return "Unknown Error";
    }
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device *device) {
    if (strcmp(uuid, UUID) != 0) return NOT_FOUND;
    *device = (Device)&only;
    return OK;
}

/* Of a part of it (MIG) the whole is that device, too. */
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device part, Device *device) {
    *device = part;
    return OK;
}

static int wrong(Device device) { calls++; return device == NULL || device->number != 7; }

typedef struct { unsigned int gpu, memory; } Utilization;
int nvmlDeviceGetUtilizationRates(Device device, Utilization *rates) {
    if (wrong(device)) return 2;
    rates->gpu = 75;
    rates->memory = 12;
    return OK;
}
int nvmlDeviceGetClockInfo(Device device, unsigned int kind, unsigned int *megahertz) {
    if (wrong(device)) return 2;
    if (kind != 1 && kind != 2) return 2;
    *megahertz = kind == 1 ? 1410 : 1593;
    return OK;
}
int nvmlDeviceGetPowerUsage(Device device, unsigned int *milliwatts) {
    if (wrong(device)) return 2;
#ifdef NO_POWER
    return NOT_SUPPORTED;
#endif
    *milliwatts = 250500;
    return OK;
}
/* 5 GJ, more than 32 bits of mJ hold, and 12 J more at every reading. */
int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long *millijoules) {
    if (wrong(device)) return 2;
    *millijoules = 5000000000000ULL + 12000ULL * energy_reads++;
    return OK;
}
/* By turns: power cap; idle; thermal slowdown of the hardware with the power cap; application clocks. */
static int reasons(Device device, unsigned long long *bits) {
    static const unsigned long long turns[] = {0x4, 0x1, 0x44, 0x2};
    if (wrong(device)) return 2;
    *bits = turns[reason_reads++ % 4];
    return OK;
}
#ifdef OLD
int nvmlDeviceGetCurrentClocksThrottleReasons(Device device, unsigned long long *bits) { return reasons(device, bits); }
#else
int nvmlDeviceGetCurrentClocksEventReasons(Device device, unsigned long long *bits) { return reasons(device, bits); }
#endif
