/* SPDX-License-Identifier: BSD-3-Clause */
/* Driver of the accelerator @name@: over AXI-Stream DMA (@name@.c), or over the serial line of a
 * board's bitstream (@name@_serial.c). README.md describes the order of the elements. */
#ifndef @NAME@_H
#define @NAME@_H

#include <stddef.h>
#include <stdint.h>

#define @NAME@_ELEMENTS @elements@ /* of a sample */
#define @NAME@_ELEMENT_BITS @bits@
#define @NAME@_SAMPLE_BYTES @sample_bytes@ /* on the AXI-Stream */
#define @NAME@_OUTPUTS @outputs@ /* @outputs_are@ */
#define @NAME@_OUTPUT_BYTES @element_bytes@ /* of one of them */
#define @NAME@_ANSWER_BYTES @answer_bytes@ /* on the AXI-Stream */

typedef @input_type@ @name@_element;
typedef @output_type@ @name@_output;

/* Packs a sample's elements, @low@ to @high@, into @NAME@_SAMPLE_BYTES bytes. */
void @name@_pack(const @name@_element *elements, uint8_t *bytes);

/* Unpacks an answer of @NAME@_ANSWER_BYTES bytes. */
void @name@_unpack(const uint8_t *bytes, @name@_output *outputs);

/* Returns the class of an answer. */
unsigned @name@_class(const @name@_output *outputs);

/* AXI DMA (AMD's IP, direct register mode, no interrupts needed). `registers` is its mapped register space; `samples` and
 * `answers` are bus addresses of buffers of `count` packed samples and answers that no cache holds back. Returns 0, or the
 * status register of the channel that failed, or -1 if nothing ended within `polls` looks. */
int @name@_dma(volatile uint32_t *registers, uint32_t samples, uint32_t answers, uint32_t count, unsigned long polls);

/* A serial line: 8N1, @baud@ baud. Each function moves at most `size` bytes and returns how many it moved; `receive` gives up
 * after the longest time that an answer may take. */
typedef struct {
    size_t (*send)(void *line, const uint8_t *bytes, size_t size);
    size_t (*receive)(void *line, uint8_t *bytes, size_t size);
    void *line;
} @name@_serial;

/* Checks that the board runs this design, and resets it. Returns 0, or -1. */
int @name@_serial_identify(const @name@_serial *serial);

/* Sends a sample's elements and receives its outputs. Returns 0, or -1 after a broken or missing answer: be silent for
 * 150 ms, identify, and send the sample again. */
int @name@_serial_run(const @name@_serial *serial, uint32_t number, const @name@_element *elements,
                      @name@_output *outputs);

#endif
