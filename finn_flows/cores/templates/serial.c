/* SPDX-License-Identifier: BSD-3-Clause */
/* The serial line of a bitstream that zerocross built:
 *   host: A5 "R" number sample checksum      device: 5A "R" number output checksum
 *   host: A5 "I" checksum                    device: 5A "I" identity checksum
 * A sample and an output are the bits of their elements, lowest first, padded to whole bytes. */
#include "@name@.h"

#include <string.h>

enum { SAMPLE = @serial_sample_bytes@, OUTPUT = @serial_output_bytes@, OUTPUT_BITS = @serial_output_bits@, IDENTITY = 10 };
static const uint8_t identity[IDENTITY] = {@identity@};

/* CRC-16/MCRF4XX */
static uint16_t crc(const uint8_t *bytes, size_t size)
{
    uint16_t sum = 0xFFFF;
    while (size--) {
        sum ^= *bytes++;
        for (int i = 0; i < 8; i++)
            sum = (uint16_t)((sum >> 1) ^ (sum & 1 ? 0x8408 : 0));
    }
    return sum;
}

static int exchange(const @name@_serial *serial, uint8_t *request, size_t asked, uint8_t *answer, size_t wanted)
{
    uint16_t sum = crc(request + 1, asked - 3);
    request[asked - 2] = (uint8_t)sum;
    request[asked - 1] = (uint8_t)(sum >> 8);
    if (serial->send(serial->line, request, asked) != asked || serial->receive(serial->line, answer, wanted) != wanted)
        return -1;
    return answer[0] == 0x5A && answer[1] == request[1] && crc(answer + 1, wanted - 1) == 0 ? 0 : -1;
}

int @name@_serial_identify(const @name@_serial *serial)
{
    uint8_t request[4] = {0xA5, 'I'}, answer[4 + IDENTITY];
    if (exchange(serial, request, sizeof request, answer, sizeof answer))
        return -1;
    return memcmp(answer + 2, identity, IDENTITY) ? -1 : 0;
}

int @name@_serial_run(const @name@_serial *serial, uint32_t number, const @name@_element *elements,
                      @name@_output *outputs)
{
    uint8_t request[8 + @NAME@_SAMPLE_BYTES] = {0xA5, 'R'}, answer[8 + OUTPUT];
    for (int i = 0; i < 4; i++)
        request[2 + i] = (uint8_t)(number >> (8 * i));
    @name@_pack(elements, request + 6);
    if (exchange(serial, request, 8 + SAMPLE, answer, sizeof answer) || memcmp(request + 2, answer + 2, 4))
        return -1;
    for (size_t i = 0; i < @NAME@_OUTPUTS; i++) {
        uint32_t value = 0;
        for (size_t bit = 0; bit < OUTPUT_BITS; bit++) {
            size_t place = i * OUTPUT_BITS + bit;
            value |= ((uint32_t)(answer[6 + place / 8] >> (place % 8)) & 1u) << bit;
        }
        if (@serial_output_signed@ && (value >> (OUTPUT_BITS - 1)) & 1u)
            value -= (uint32_t)((uint64_t)1 << OUTPUT_BITS);
        outputs[i] = (@name@_output)value;
    }
    return 0;
}
