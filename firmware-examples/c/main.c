/* Every picture of input.bin through the network, one line of output each: the label and the raw
 * values, for whoever compares them with the host's. */
#include "mote_model.h"
#include "semihosting.h"

static MOTE_MODEL_ALIGNED int8_t arena[MOTE_MODEL_ARENA_BYTES];
static mote_model_session session;

static void print_hex(const int8_t *values, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char text[3] = "..";
    for (size_t i = 0; i < len; i++) {
        text[0] = digits[(uint8_t)values[i] >> 4];
        text[1] = digits[(uint8_t)values[i] & 15];
        host_print(text);
    }
}

int main(void)
{
    int outcome = mote_model_session_new(&session, arena, sizeof arena);
    if (outcome != MOTE_MODEL_OK) {
        host_print("no session\n");
        return 1;
    }
    int file = host_open("input.bin");
    if (file < 0) {
        host_print("no input.bin beside the emulator\n");
        return 1;
    }
    while (host_read(file, mote_model_input(&session), MOTE_MODEL_INPUT_LEN)) {
        const int8_t *output = mote_model_run(&session);
        const char *label = mote_model_label(mote_model_best(&session));
        host_print(label ? label : "-");
        host_print(" ");
        print_hex(output, MOTE_MODEL_OUTPUT_LEN);
        host_print("\n");
    }
    return 0;
}
