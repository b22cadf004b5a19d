/* SPDX-License-Identifier: BSD-3-Clause */
#include "@name@.h"

#include <string.h>

void @name@_pack(const @name@_element *elements, uint8_t *bytes)
{
    memset(bytes, 0, @NAME@_SAMPLE_BYTES);
    for (size_t i = 0; i < @NAME@_ELEMENTS; i++)
        for (size_t bit = 0; bit < @NAME@_ELEMENT_BITS; bit++) {
            size_t place = i * @NAME@_ELEMENT_BITS + bit;
            bytes[place / 8] |= (uint8_t)((((uint32_t)elements[i] >> bit) & 1u) << (place % 8));
        }
}

void @name@_unpack(const uint8_t *bytes, @name@_output *outputs)
{
    for (size_t i = 0; i < @NAME@_OUTPUTS; i++) {
        uint32_t value = 0;
        for (size_t byte = 0; byte < @NAME@_OUTPUT_BYTES; byte++)
            value |= (uint32_t)bytes[i * @NAME@_OUTPUT_BYTES + byte] << (8 * byte);
        outputs[i] = (@name@_output)value;
    }
}

unsigned @name@_class(const @name@_output *outputs)
{
    unsigned best = 0;
    for (unsigned i = 1; i < @NAME@_OUTPUTS; i++)
        if (outputs[i] > outputs[best])
            best = i;
    return @NAME@_OUTPUTS == 1 ? (unsigned)outputs[0] : best;
}

/* Registers of both channels, in words; control bit 0 runs, status bit 1 is idle, bits 4 to 6 and 8 to 10 are errors. */
enum { SEND = 0x00 / 4, RECEIVE = 0x30 / 4, CONTROL = 0, STATUS = 1, ADDRESS = 0x18 / 4, LENGTH = 0x28 / 4 };
static const uint32_t RUN = 1, IDLE = 2, ERRORS = 0x770;

static void start(volatile uint32_t *channel, uint32_t address, uint32_t bytes)
{
    channel[CONTROL] = RUN;
    channel[ADDRESS] = address;
    channel[LENGTH] = bytes; /* starts the transfer */
}

int @name@_dma(volatile uint32_t *registers, uint32_t samples, uint32_t answers, uint32_t count, unsigned long polls)
{
    start(registers + RECEIVE, answers, count * @NAME@_ANSWER_BYTES);
    start(registers + SEND, samples, count * @NAME@_SAMPLE_BYTES);
    while (polls-- > 0) {
        uint32_t sent = registers[SEND + STATUS], received = registers[RECEIVE + STATUS];
        if ((sent | received) & ERRORS)
            return (int)(sent & ERRORS ? sent : received);
        if (sent & received & IDLE)
            return 0;
    }
    return -1;
}
