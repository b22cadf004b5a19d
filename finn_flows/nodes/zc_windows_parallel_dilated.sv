// The windows of an image, a whole window a word, as zc_windows_parallel gives them, the pixels under the kernel
// DILATION_H rows and DILATION_W columns apart: some pixels of larger windows.
module zc_windows_parallel_dilated #(
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter int FOLDS = 1,  // words of a pixel
    parameter int KERNEL_H = 3,
    parameter int KERNEL_W = 3,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int DILATION_H = 2,
    parameter int DILATION_W = 2,
    parameter int BITS = 8,  // of a word
    parameter RAM_STYLE = "auto"
) (
    input  logic                              clk,
    input  logic                              rst_n,
    input  logic [BITS-1:0]                   s_tdata,
    input  logic                              s_tvalid,
    output logic                              s_tready,
    output logic [KERNEL_H*KERNEL_W*BITS-1:0] m_tdata,
    output logic                              m_tvalid,
    input  logic                              m_tready
);
  localparam int REACH_H = (KERNEL_H - 1) * DILATION_H + 1;
  localparam int REACH_W = (KERNEL_W - 1) * DILATION_W + 1;
  logic [REACH_H*REACH_W*BITS-1:0] reached;
  zc_windows_parallel #(
      .HEIGHT(HEIGHT),
      .WIDTH(WIDTH),
      .FOLDS(FOLDS),
      .KERNEL_H(REACH_H),
      .KERNEL_W(REACH_W),
      .STRIDE_H(STRIDE_H),
      .STRIDE_W(STRIDE_W),
      .BITS(BITS),
      .RAM_STYLE(RAM_STYLE)
  ) windows (
      .clk,
      .rst_n,
      .s_tdata,
      .s_tvalid,
      .s_tready,
      .m_tdata(reached),
      .m_tvalid,
      .m_tready
  );
  for (genvar line = 0; line < KERNEL_H; line++) begin : g_line
    for (genvar pixel = 0; pixel < KERNEL_W; pixel++) begin : g_pixel
      localparam int PLACE = line * DILATION_H * REACH_W + pixel * DILATION_W;
      assign m_tdata[(line*KERNEL_W+pixel)*BITS+:BITS] = reached[PLACE*BITS+:BITS];
    end
  end
endmodule
