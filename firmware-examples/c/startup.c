/* From reset to main on a Cortex-M: memory, FPU, and an end to every fault. */
#include "semihosting.h"

extern uint32_t _data_start, _data_end, _data_load, _bss_start, _bss_end, _stack_top;
extern int main(void);
void reset(void);

static void fault(void)
{
    host_print("fault\n");
    host_exit(2);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &_stack_top, (void *)reset, (void *)fault, (void *)fault,
    (void *)fault, (void *)fault, (void *)fault,
};

void reset(void)
{
    volatile uint32_t *const cpacr = (uint32_t *)0xe000ed88;
    *cpacr |= 0xfu << 20; /* Arm's name for: the FPU is on */
    __asm__ volatile("dsb; isb");

    const uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = &_bss_start; to < &_bss_end; to++) {
        *to = 0;
    }
    host_exit(main());
    for (;;) {
    }
}
