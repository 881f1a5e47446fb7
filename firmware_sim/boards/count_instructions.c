/* Counts the instructions that an emulated program executes, in regions that it marks itself.
 *
 * A plugin for QEMU's user-mode emulator (TCG plugin interface, version 1). It declares the few functions it
 * needs, because the emulator's header is not packaged everywhere. The program marks a region by a system call
 * number that Linux does not use (and answers with ENOSYS):
 *
 *     syscall(4242, 1, id)   region `id` begins, 0 <= id < 256
 *     syscall(4242, 2, id)   region `id` ends: one line "region <id> <instructions>" is written
 *
 * Regions of different ids may overlap. One thread only: counters are not atomic. Argument: out=FILE.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MARK 4242
#define REGIONS 256
#define ADD_U64 0
#define NO_REGISTERS 0
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef struct {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
    union { struct { int smp_vcpus, max_vcpus; } system; };
} qemu_info;

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t));

EXPORT int qemu_plugin_version = 1;

static uint64_t total, begun[REGIONS];
static FILE *out;

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &total, qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t what, uint64_t region, uint64_t a3,
                   uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != MARK || region >= REGIONS)
        return;
    if (what == 1)
        begun[region] = total;
    else if (what == 2)
        fprintf(out, "region %" PRIu64 " %" PRIu64 "\n", region, total - begun[region]);
}

static void ended(plugin_id id, void *data)
{
    (void)id, (void)data;
    fprintf(out, "total %" PRIu64 "\n", total);
    fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const qemu_info *info, int argc, char **argv)
{
    (void)info;
    for (int k = 0; k < argc; k++)
        if (!strncmp(argv[k], "out=", 4))
            out = fopen(argv[k] + 4, "w");
    if (!out)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
