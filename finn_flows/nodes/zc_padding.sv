// Surrounds an image with pixels whose elements all are LEVEL. Words flow by row, column, channel fold; one leaves per
// cycle. An image's first padding leaves only once the image's first word has arrived.
module zc_padding #(
    parameter int HEIGHT = 8,  // of the image
    parameter int WIDTH = 8,
    parameter int TOP = 1,
    parameter int LEFT = 1,
    parameter int BOTTOM = 1,
    parameter int RIGHT = 1,
    parameter int FOLDS = 1,  // words of a pixel
    parameter int PE = 1,  // elements of a word
    parameter int BITS = 8,  // of an element
    parameter int LEVEL = 0
) (
    input  logic               clk,
    input  logic               rst_n,
    input  logic [PE*BITS-1:0] s_tdata,
    input  logic               s_tvalid,
    output logic               s_tready,
    output logic [PE*BITS-1:0] m_tdata,
    output logic               m_tvalid,
    input  logic               m_tready
);
  localparam int COLUMNS = LEFT + WIDTH + RIGHT;
  localparam int ROWS = TOP + HEIGHT + BOTTOM;
  localparam int FOLD_BITS = $clog2(FOLDS + 1);
  localparam int COLUMN_BITS = $clog2(COLUMNS + 1);
  localparam int ROW_BITS = $clog2(ROWS + 1);

  // Position of the next word in the padded image; whether its column and its row cross the image.
  logic [FOLD_BITS-1:0] fold;
  logic [COLUMN_BITS-1:0] column;
  logic [ROW_BITS-1:0] row;
  logic in_columns, in_rows;
  logic begun;  // whether a word of the current image has left
  wire fold_last = fold == FOLD_BITS'(FOLDS - 1);
  wire column_last = column == COLUMN_BITS'(COLUMNS - 1);
  wire row_last = row == ROW_BITS'(ROWS - 1);
  wire on_image = in_columns && in_rows;

  wire free = m_tready || !m_tvalid;
  wire move = free && (s_tvalid || (begun && !on_image));
  assign s_tready = free && on_image;
  always_ff @(posedge clk) begin
    if (free) m_tdata <= on_image ? s_tdata : {PE{BITS'(LEVEL)}};
    if (!rst_n) begin
      m_tvalid <= 1'b0;
      {fold, column, row, begun} <= '0;
      in_columns <= LEFT == 0;
      in_rows <= TOP == 0;
    end else begin
      if (free) m_tvalid <= move;
      if (move) begin
        begun <= !(fold_last && column_last && row_last);
        fold  <= fold_last ? '0 : fold + 1'b1;
        if (fold_last) begin
          column <= column_last ? '0 : column + 1'b1;
          if (column_last) in_columns <= LEFT == 0;
          else if (column == COLUMN_BITS'(LEFT + WIDTH - 1)) in_columns <= 1'b0;
          else if (LEFT != 0 && column == COLUMN_BITS'(LEFT - 1)) in_columns <= 1'b1;
          if (column_last) begin
            row <= row_last ? '0 : row + 1'b1;
            if (row_last) in_rows <= TOP == 0;
            else if (row == ROW_BITS'(TOP + HEIGHT - 1)) in_rows <= 1'b0;
            else if (TOP != 0 && row == ROW_BITS'(TOP - 1)) in_rows <= 1'b1;
          end
        end
      end
    end
  end
endmodule
