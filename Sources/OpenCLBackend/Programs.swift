import Compute

/// The programs in use: which file is built with which parameters.
extension ProgramKey {
  // MARK: - Matrix products

  static func plainMatmul(_ types: OperandTypes) -> ProgramKey {
    ProgramKey(file: "matmul_plain.cl", parameters: types.parameters)
  }

  /// The numbers of rows that `matmul_few_rows` is built for.
  static let fewRows = [1, 2, 4, 8]

  static func fewRowsMatmul(_ types: OperandTypes, rows: Int, alongK: Bool) -> ProgramKey {
    ProgramKey(
      file: "matmul_gpu.cl",
      parameters: types.parameters.merging(["ROWS": rows, "ALONG_K": alongK ? 1 : 0]) { first, _ in first })
  }

  static func localMatmul(_ types: OperandTypes, chunks: Int) -> ProgramKey {
    ProgramKey(
      file: "matmul_gpu.cl", parameters: types.parameters.merging(["CHUNKS": chunks]) { first, _ in first })
  }

  static func tensorMatmul(b: DType, chunks: Int, form: TensorForm) -> ProgramKey {
    ProgramKey(
      file: "matmul_tensor.cl",
      parameters: ["B_TYPE": b.operandNumber, "CHUNKS": chunks, "TENSOR_CORES": form.rawValue])
  }

  /// Whether the program holds instructions of tensor cores, which other devices cannot build.
  var needsTensorCores: Bool { parameters["TENSOR_CORES"] == TensorForm.instruction.rawValue }

  /// The heights that register tiles are built for.
  static let tileHeights = [1, 2, 4, 6, 8]
  /// The widest register tile, in vectors of 16 columns.
  static let tileVectors = 3

  static func tiledMatmul(rows: Int, vectors: Int, pairs: TilePairs, dot: Bool) -> ProgramKey {
    ProgramKey(
      file: "matmul_cpu.cl",
      parameters: ["ROWS": rows, "COLUMN_VECTORS": vectors, "PAIRED": pairs.rawValue, "DOT": dot ? 1 : 0])
  }

  /// The heights that register tiles over strips are built for.
  static let stripHeights = [6, 8]

  static func stripMatmul(_ types: OperandTypes, rows: Int, vectors: Int, dot: Bool) -> ProgramKey {
    let pairs = types.rounded ? TilePairs.both : .none
    let tile = ["ROWS": rows, "COLUMN_VECTORS": vectors, "PAIRED": pairs.rawValue, "DOT": dot ? 1 : 0]
    return ProgramKey(file: "matmul_strips.cl", parameters: types.parameters.merging(tile) { first, _ in first })
  }

  /// The kernel that makes pairs of the rows of A.
  static let packRows = ProgramKey(file: "matmul_pack.cl")

  /// What the processor can do.
  static let processor = ProgramKey(file: "processor.cl")

  static func pack(_ types: OperandTypes, vectors: Int, paired: Bool) -> ProgramKey {
    ProgramKey(
      file: "matmul_pack.cl",
      parameters: types.parameters.merging(["COLUMN_VECTORS": vectors, "PAIRED": paired ? 1 : 0]) { first, _ in first })
  }

  // MARK: - Attention

  /// Wider heads would not fit into the private or local memory that the tuned kernels keep.
  static let widestHead = 512
  /// Work-items of a work-group of attention_gpu.cl.
  static let attentionGroup = 64

  static let plainAttention = ProgramKey(file: "attention_plain.cl")

  static func attention(_ variant: KernelVariant, width: Int, valueWidth: Int) -> ProgramKey {
    let widths = ["HEAD_WIDTH": width, "VALUE_WIDTH": valueWidth]
    return switch variant {
    case .plain: plainAttention
    case .cpu:
      ProgramKey(
        file: "attention_cpu.cl",
        parameters: widths.merging(
          ["TILE": LayoutTables.tile, "GRADIENT_TILE": LayoutTables.gradientTile]) { first, _ in first })
    case .gpu:
      ProgramKey(
        file: "attention_gpu.cl", parameters: widths.merging(["GROUP": attentionGroup]) { first, _ in first })
    }
  }

  static func pairAttention(width: Int, valueWidth: Int, dot: Bool) -> ProgramKey {
    ProgramKey(
      file: "attention_pairs.cl",
      parameters: [
        "HEAD_WIDTH": width, "VALUE_WIDTH": valueWidth, "TILE": LayoutTables.pairTile, "DOT": dot ? 1 : 0,
      ])
  }

  // MARK: - All of them

  private static let lanesFiles = [
    "builtins.cl", "columns.cl", "elementwise.cl", "normalization.cl", "optimizers.cl", "reductions.cl", "rows.cl",
    "softmax.cl",
  ]
  /// Widths of query and value heads: those of common models, the least, odd ones and the widest.
  private static let headWidths = [
    (1, 1), (8, 8), (17, 5), (32, 32), (48, 48), (64, 64), (80, 80), (96, 96), (128, 128), (192, 128), (256, 256),
    (512, 512),
  ]

  /// Every program of a variant.
  ///
  /// Attention is built for whatever head width a model has; a choice of widths stands for all.
  static func all(_ variant: KernelVariant) -> [ProgramKey] {
    let types = [DType.f32, .bf16, .f16].flatMap { type in
      [false, true].map { OperandTypes(b: type, rounded: $0) }
    }
    var programs = lanesFiles.map { LaneShape(variant).program($0) }
    programs += types.map(plainMatmul)  // for empty sums, whatever the variant
    programs.append(plainAttention)  // for wide heads, whatever the variant
    programs += peakWidths(variant).map(peak)
    switch variant {
    case .plain: return programs
    case .gpu:
      for type in types {
        programs += fewRows.flatMap { rows in
          [false, true].map { fewRowsMatmul(type, rows: rows, alongK: $0) }
        }
        programs += [1, 2].map { localMatmul(type, chunks: $0) }
      }
      for form in TensorForm.allCases {
        for chunks in [1, 2] {
          programs += TensorForm.typesOfB.map { tensorMatmul(b: $0, chunks: chunks, form: form) }
        }
      }
    case .cpu:
      programs += [packRows, processor, dotPeak]
      programs += headWidths.map { pairAttention(width: $0.0, valueWidth: $0.1, dot: true) }
      for vectors in 1...tileVectors {
        programs += tileHeights.flatMap { rows in
          TilePairs.allCases.map { tiledMatmul(rows: rows, vectors: vectors, pairs: $0, dot: false) }
            + [tiledMatmul(rows: rows, vectors: vectors, pairs: .both, dot: true)]
        }
        programs += stripHeights.flatMap { rows in
          types.map { stripMatmul($0, rows: rows, vectors: vectors, dot: false) }
            + types.filter(\.rounded).map { stripMatmul($0, rows: rows, vectors: vectors, dot: true) }
        }
        programs += types.map { pack($0, vectors: vectors, paired: $0.rounded || $0.b == DType.bf16.operandNumber) }
      }
    }
    return programs + headWidths.map { attention(variant, width: $0.0, valueWidth: $0.1) }
  }
}
