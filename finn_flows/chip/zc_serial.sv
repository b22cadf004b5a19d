// A design behind a serial line: the host sends a sample, the device answers with the design's output.
//
//     host:    A5 "R" number sample checksum   compute     device: 5A "R" number output checksum
//     host:    A5 "I" checksum                 identify    device: 5A "I" IDENTITY checksum
//                                              error       device: 5A "E" code checksum
//
// The host chooses the number of a request, 4 bytes; the answer repeats it, so that the host knows which request it
// answers. An identification has none: hosts and devices of all versions of the protocol understand it.
//
// A sample is the bits of its elements in stream order, lowest bit first, padded to whole bytes; so is an output. The
// checksum is CRC-16/MCRF4XX (polynomial 0x1021 reflected, start 0xFFFF) of all bytes between the header and itself, low
// byte first. The device stores a sample until its checksum is verified, so the design never sees a corrupt one. A frame
// that pauses for TIMEOUT cycles is discarded. "I" is always accepted, even while the design computes; it resets the design.
module zc_serial #(
    parameter int DIVIDER = 217,  // clock cycles per bit
    parameter int TIMEOUT = 2_500_000,
    parameter int IN_WIDTH = 8,  // of the design's words
    parameter int IN_WORDS = 1,  // per sample
    parameter int OUT_WIDTH = 8,
    parameter int OUT_WORDS = 1,
    parameter bit [79:0] IDENTITY = '0  // 10 bytes, lowest first
) (
    input  logic                 clk,
    input  logic                 rst_n,
    input  logic                 rx,
    output logic                 tx,
    output logic                 active,        // a sample is being processed
    // The design.
    output logic                 design_rst_n,
    output logic [ IN_WIDTH-1:0] m_tdata,
    output logic                 m_tvalid,
    input  logic                 m_tready,
    input  logic [OUT_WIDTH-1:0] s_tdata,
    input  logic                 s_tvalid,
    output logic                 s_tready
);
  localparam bit [7:0] REQUEST = 8'hA5, ANSWER = 8'h5A;
  localparam bit [7:0] RUN = "R", IDENTIFY = "I", ERROR = "E";
  localparam bit [7:0] BAD_CHECKSUM = 8'd1, TOO_LATE = 8'd2, UNKNOWN = 8'd3, BUSY = 8'd4;

  function automatic logic [15:0] crc(input logic [15:0] sum, input logic [7:0] data);
    crc = sum ^ {8'd0, data};
    for (int i = 0; i < 8; i++) crc = (crc >> 1) ^ (crc[0] ? 16'h8408 : 16'h0);
  endfunction

  // Frames in.
  localparam int IN_BYTES = (IN_WIDTH * IN_WORDS + 7) / 8;
  localparam int NUMBER_BYTES = 4;
  localparam int IN_BITS = $clog2((IN_BYTES > NUMBER_BYTES ? IN_BYTES : NUMBER_BYTES) + 1);
  localparam int TIMEOUT_BITS = $clog2(TIMEOUT + 1);
  logic [7:0] byte_in;
  logic byte_valid;
  zc_uart_rx #(
      .DIVIDER(DIVIDER)
  ) receiver (
      .clk,
      .rst_n,
      .rx,
      .data (byte_in),
      .valid(byte_valid)
  );

  typedef enum logic [2:0] {HEADER, COMMAND, NUMBER, SAMPLE, CHECK_LOW, CHECK_HIGH, VERDICT} receive_t;
  receive_t receive;
  logic run_frame;  // whether the frame's command is RUN
  logic [15:0] crc_in;
  logic [IN_BITS-1:0] place;
  logic [TIMEOUT_BITS-1:0] silent;
  logic late, run, identify, complain;
  logic [7:0] complaint;
  wire right = crc_in == 0;  // the CRC over a frame and its checksum is 0
  wire command_known = byte_in == RUN || byte_in == IDENTIFY;
  wire number_last = place == IN_BITS'(NUMBER_BYTES - 1);
  wire refused = byte_valid && receive == COMMAND && (!command_known || (byte_in == RUN && active));
  always_ff @(posedge clk) begin
    silent <= byte_valid || receive == HEADER ? '0 : silent + 1'b1;
    late <= receive != HEADER && !byte_valid && silent == TIMEOUT_BITS'(TIMEOUT);
    run <= receive == VERDICT && right && run_frame;
    identify <= receive == VERDICT && right && !run_frame;
    complain <= (receive == VERDICT && !right) || late || refused;
    complaint <= late ? TOO_LATE : receive == VERDICT ? BAD_CHECKSUM : command_known ? BUSY : UNKNOWN;
    if (!rst_n || late || refused || receive == VERDICT) receive <= HEADER;
    else if (byte_valid) begin
      crc_in <= receive == HEADER ? 16'hFFFF : crc(crc_in, byte_in);
      place  <= receive == SAMPLE || (receive == NUMBER && !number_last) ? place + 1'b1 : '0;
      case (receive)
        HEADER: if (byte_in == REQUEST) receive <= COMMAND;
        COMMAND: begin
          run_frame <= byte_in == RUN;
          receive   <= byte_in == RUN ? NUMBER : CHECK_LOW;
        end
        NUMBER: if (number_last) receive <= SAMPLE;
        SAMPLE: if (place == IN_BITS'(IN_BYTES - 1)) receive <= CHECK_LOW;
        CHECK_LOW: receive <= CHECK_HIGH;
        default: receive <= VERDICT;
      endcase
    end
  end

  // A memory stores the sample; then one bit moves into the design's words every second cycle.
  logic [7:0] sample[1<<$clog2(IN_BYTES > 1 ? IN_BYTES : 2)];
  localparam int PLACE_BITS = $clog2(IN_BYTES > 1 ? IN_BYTES : 2);
  localparam int IN_FILL_BITS = $clog2(IN_WIDTH + 1);
  localparam int IN_COUNT_BITS = $clog2(IN_WORDS + 1);
  logic [7:0] read;
  logic [PLACE_BITS+2:0] position;  // of the next bit
  logic [IN_FILL_BITS-1:0] filled;
  logic [IN_COUNT_BITS-1:0] words_left;
  logic fetched;
  always_ff @(posedge clk) begin
    if (byte_valid && receive == SAMPLE) sample[place[PLACE_BITS-1:0]] <= byte_in;
    read <= sample[position[PLACE_BITS+2:3]];
  end
  always_ff @(posedge clk) begin
    if (!rst_n || identify) begin
      m_tvalid   <= 1'b0;
      words_left <= '0;
    end else if (run) begin
      position   <= '0;
      filled     <= '0;
      words_left <= IN_COUNT_BITS'(IN_WORDS);
      fetched    <= 1'b0;
    end else if (m_tvalid) begin
      if (m_tready) begin
        m_tvalid   <= 1'b0;
        filled     <= '0;
        words_left <= words_left - 1'b1;
      end
    end else if (words_left != 0) begin
      fetched <= !fetched;
      if (fetched) begin
        m_tdata  <= IN_WIDTH'({read[position[2:0]], m_tdata} >> 1);
        position <= position + 1'b1;
        filled   <= filled + 1'b1;
        m_tvalid <= filled == IN_FILL_BITS'(IN_WIDTH - 1);
      end
    end
  end

  // Every identification resets the design.
  logic [3:0] hold;
  always_ff @(posedge clk) begin
    if (!rst_n || identify) hold <= '1;
    else if (hold != 0) hold <= hold - 1'b1;
    design_rst_n <= hold == 0;
  end

  // Frames out; the design's words are split into bytes, bit by bit.
  localparam int OUT_BYTES = (OUT_WIDTH * OUT_WORDS + 7) / 8;
  localparam int LONGEST = OUT_BYTES > 10 ? OUT_BYTES : 10;  // of a body; numbers are shorter
  localparam int INDEX_BITS = $clog2(LONGEST + 1);
  localparam int OUT_POSITION_BITS = OUT_WIDTH > 1 ? $clog2(OUT_WIDTH) : 1;
  localparam int OUT_COUNT_BITS = $clog2(OUT_WORDS + 1);
  typedef enum logic [2:0] {REST, KIND, ECHO, BODY, SUM_LOW, SUM_HIGH} send_t;
  send_t send;
  logic [7:0] kind, code, output_byte, byte_out;
  logic tell_error, tell_identity, byte_offered, byte_taken;
  logic [15:0] crc_out;
  logic [7:0] byte_summed;
  logic sum_starts, sum_goes_on;  // a cycle after its byte
  logic [INDEX_BITS-1:0] index;
  logic [OUT_POSITION_BITS-1:0] output_position;
  logic [OUT_COUNT_BITS-1:0] outputs_left;
  logic [3:0] gathered;  // bits in output_byte

  // A word is taken the cycle after its last bit: a register breaks the path back into the design.
  wire gather = active && !gathered[3] && !s_tready && (outputs_left == 0 || s_tvalid);
  wire output_last = output_position == OUT_POSITION_BITS'(OUT_WIDTH - 1);
  wire use_output = send == BODY && kind == RUN && byte_taken;
  wire answered = send == SUM_HIGH && kind == RUN && byte_taken;
  always_ff @(posedge clk) begin
    if (!rst_n || identify || answered) active <= 1'b0;
    else if (run) active <= 1'b1;
    s_tready <= gather && outputs_left != 0 && output_last;
    if (run) begin
      gathered        <= '0;
      output_position <= '0;
      outputs_left    <= OUT_COUNT_BITS'(OUT_WORDS);
    end else if (use_output) gathered <= '0;
    else if (gather) begin
      // Zeros fill the last byte.
      output_byte <= {outputs_left != 0 && s_tdata[output_position], output_byte[7:1]};
      gathered    <= gathered + 1'b1;
      if (outputs_left != 0) begin
        output_position <= output_last ? '0 : output_position + 1'b1;
        if (output_last) outputs_left <= outputs_left - 1'b1;
      end
    end
  end

  // The number of the request, lowest byte first; it turns while it is received and sent. A device that computes receives
  // no other one, because it refuses the command.
  logic [8*NUMBER_BYTES-1:0] number;
  wire take_number = byte_valid && receive == NUMBER;
  wire echo_last = index == INDEX_BITS'(NUMBER_BYTES - 1);
  always_ff @(posedge clk) begin
    if (take_number || (send == ECHO && byte_taken))
      number <= {take_number ? byte_in : number[7:0], number[8*NUMBER_BYTES-1:8]};
  end

  wire [7:0] identity_byte = 8'(IDENTITY >> {index, 3'd0});
  wire body_last = kind == ERROR || index == (kind == RUN ? INDEX_BITS'(OUT_BYTES - 1) : INDEX_BITS'(9));
  always_comb begin
    byte_offered = send != BODY || kind != RUN || gathered[3];
    case (send)
      REST: begin
        byte_out = ANSWER;
        byte_offered = tell_error || tell_identity || (active && gathered[3]);
      end
      KIND: byte_out = kind;
      ECHO: byte_out = number[7:0];
      BODY: byte_out = kind == RUN ? output_byte : kind == ERROR ? code : identity_byte;
      SUM_LOW: byte_out = crc_out[7:0];
      default: byte_out = crc_out[15:8];
    endcase
  end
  always_ff @(posedge clk) begin
    if (!rst_n || identify) send <= REST;  // an answer half sent is abandoned
    else if (byte_taken) begin
      index <= send == BODY || (send == ECHO && !echo_last) ? index + 1'b1 : '0;
      case (send)
        REST: begin
          send <= KIND;
          kind <= tell_error ? ERROR : tell_identity ? IDENTIFY : RUN;
        end
        KIND: send <= kind == RUN ? ECHO : BODY;
        ECHO: if (echo_last) send <= BODY;
        BODY: if (body_last) send <= SUM_LOW;
        SUM_LOW: send <= SUM_HIGH;
        default: send <= REST;
      endcase
    end
    byte_summed <= byte_out;
    sum_starts  <= byte_taken && send == REST;
    sum_goes_on <= byte_taken && (send == KIND || send == ECHO || send == BODY);
    if (sum_starts) crc_out <= '1;
    else if (sum_goes_on) crc_out <= crc(crc_out, byte_summed);
    if (!rst_n) {tell_error, tell_identity} <= '0;
    else begin
      if (complain) {tell_error, code} <= {1'b1, complaint};
      else if (identify || (send == REST && byte_taken)) tell_error <= 1'b0;
      if (identify) tell_identity <= 1'b1;
      else if (send == REST && byte_taken && !tell_error) tell_identity <= 1'b0;
    end
  end
  wire transmitter_ready;
  assign byte_taken = byte_offered && transmitter_ready;
  zc_uart_tx #(
      .DIVIDER(DIVIDER)
  ) transmitter (
      .clk,
      .rst_n,
      .s_tdata (byte_out),
      .s_tvalid(byte_offered),
      .s_tready(transmitter_ready),
      .tx
  );
endmodule
