import Autodiff
import Compute
import Foundation

/// GPT-2 (Radford et al., 2019): learned positions, layer norm in front of each block, tied or untied output.
final class GPT2: ModelFamily {
  static let modelType = "gpt2"

  /// One transformer block.
  ///
  /// Matrices are stored `[inputs, outputs]`.
  private struct Block {
    let attentionNorm: (weight: Parameter, bias: Parameter)
    let queryKeyValue: (weight: Parameter, bias: Parameter)
    let attentionOutput: (weight: Parameter, bias: Parameter)
    let feedForwardNorm: (weight: Parameter, bias: Parameter)
    let feedForwardInput: (weight: Parameter, bias: Parameter)
    let feedForwardOutput: (weight: Parameter, bias: Parameter)
    let attentionScale: Float
  }

  let backend: any ComputeBackend
  let facts: ModelFacts
  let parameters: [Parameter]
  let tokenEmbedding: Parameter
  private let positionEmbedding: Parameter
  private let blocks: [Block]
  private let finalNorm: (weight: Parameter, bias: Parameter)
  private let outputProjection: Parameter
  private let activation: Activation
  private let epsilon: Float
  private let roundsOperands: Bool

  init(
    _ configuration: ConfigurationFile, on backend: any ComputeBackend, _ options: ModelOptions, _ source: TensorSource
  ) throws {
    let sizes = try Sizes(configuration)
    var weights = ParameterBuilder(
      backend, options, source, prefix: "transformer.", deviation: sizes.initializerRange)
    let width = sizes.width
    func norm(_ name: String) throws -> (weight: Parameter, bias: Parameter) {
      (
        try weights.parameter("\(name).weight", [width], initial: .constant(1)),
        try weights.parameter("\(name).bias", [width], initial: .constant(0))
      )
    }
    func dense(_ name: String, _ inputs: Int, _ outputs: Int, scale: Float = 1) throws
      -> (weight: Parameter, bias: Parameter)
    {
      (
        try weights.parameter("\(name).weight", [inputs, outputs], initial: .normal(scale: scale)),
        try weights.parameter("\(name).bias", [outputs], initial: .constant(0))
      )
    }
    tokenEmbedding = try weights.parameter("wte.weight", [sizes.vocabulary, width], initial: .normal(scale: 1))
    positionEmbedding = try weights.parameter("wpe.weight", [sizes.positions, width], initial: .normal(scale: 1))
    // Residual branches start smaller the more of them there are (Radford et al., 2019, section 2.3).
    let residualScale = 1 / Float(2 * sizes.layers).squareRoot()
    blocks = try (0..<sizes.layers).map { layer in
      Block(
        attentionNorm: try norm("h.\(layer).ln_1"),
        queryKeyValue: try dense("h.\(layer).attn.c_attn", width, 3 * width),
        attentionOutput: try dense("h.\(layer).attn.c_proj", width, width, scale: residualScale),
        feedForwardNorm: try norm("h.\(layer).ln_2"),
        feedForwardInput: try dense("h.\(layer).mlp.c_fc", width, sizes.inner),
        feedForwardOutput: try dense("h.\(layer).mlp.c_proj", sizes.inner, width, scale: residualScale),
        attentionScale: sizes.attentionScale(layer: layer))
    }
    finalNorm = try norm("ln_f")
    outputProjection =
      sizes.isTied
      ? tokenEmbedding
      : try weights.parameter(
        "lm_head.weight", [sizes.vocabulary, width], initial: .normal(scale: 1), isPrefixed: false)
    parameters = weights.parameters
    activation = sizes.activation
    epsilon = sizes.epsilon
    roundsOperands = options.roundsOperands
    self.backend = backend
    facts = ModelFacts(
      modelType: Self.modelType, embeddingWidth: width, hiddenWidth: width, layers: sizes.layers, heads: sizes.heads,
      vocabularySize: sizes.vocabulary, maximumPositions: sizes.positions,
      endTokens: try configuration.identifiers("eos_token_id"))
  }

  func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable {
    try tape.scope("wte") { try tape.gatherRows(tape.variable(tokenEmbedding), try backend.indices(tokens)) }
  }

  func encode(_ embeddings: Variable, _ batch: PackedBatch, cache: KeyValueCache?, on tape: Tape) throws -> Variable {
    let positions = try tape.gatherRows(tape.variable(positionEmbedding), batch.positions)
    var hidden = try tape.scope("embeddings") { try tape.add(embeddings, positions) }
    for (layer, block) in blocks.enumerated() {
      hidden = try tape.scope("h.\(layer)") {
        let isLast = layer == blocks.count - 1
        let attended = try attend(hidden, block, layer: layer, isLast: isLast, batch, cache, tape)
        return try tape.scope("mlp") { try feedForward(attended, block, tape) }
      }
    }
    return try tape.scope("ln_f") { try normalise(hidden, finalNorm, tape) }
  }

  func logits(_ hidden: Variable, on tape: Tape) throws -> Variable {
    try tape.scope("lm_head") {
      try tape.linear(
        hidden, weight: tape.variable(outputProjection), transposeB: true, roundsOperands: roundsOperands)
    }
  }

  func losses(_ hidden: Variable, _ labels: Indices, on tape: Tape) throws -> Variable {
    try tape.scope("lm_head") {
      try tape.linearCrossEntropy(
        hidden, labels, weight: tape.variable(outputProjection), roundsOperands: roundsOperands)
    }
  }

  /// The attention half of a block; in the last one only for the rows that are wanted.
  private func attend(
    _ hidden: Variable, _ block: Block, layer: Int, isLast: Bool, _ batch: PackedBatch, _ cache: KeyValueCache?,
    _ tape: Tape
  ) throws -> Variable {
    let normed = try tape.scope("ln_1") { try normalise(hidden, block.attentionNorm, tape) }
    return try tape.scope("attn") {
      let parts = try tape.splitColumns(
        try linear(normed, block.queryKeyValue, tape), widths: [Int](repeating: facts.hiddenWidth, count: 3))
      var (queries, keys, values, residual) = (parts[0], parts[1], parts[2], hidden)
      if let cache, let rows = batch.cacheRows {
        try cache.store(layer: layer, keys: keys.value, values: values.value, rows: rows)
        keys = tape.constant(cache.keys[layer], name: "cached keys")
        values = tape.constant(cache.values[layer], name: "cached values")
      }
      var layout = batch.layout
      if isLast, let rows = batch.outputRows, let outputLayout = batch.outputLayout {
        queries = try tape.selectRows(queries, rows)
        residual = try tape.selectRows(residual, rows)
        layout = outputLayout
      }
      let attended = try tape.attention(
        q: queries, k: keys, v: values, layout,
        AttentionAttributes(heads: facts.heads, scale: block.attentionScale))
      return try tape.add(residual, try linear(attended, block.attentionOutput, tape))
    }
  }

  private func feedForward(_ hidden: Variable, _ block: Block, _ tape: Tape) throws -> Variable {
    let normed = try normalise(hidden, block.feedForwardNorm, tape)
    let inner = try tape.activation(activation, try linear(normed, block.feedForwardInput, tape))
    return try tape.add(hidden, try linear(inner, block.feedForwardOutput, tape))
  }

  private func normalise(_ x: Variable, _ norm: (weight: Parameter, bias: Parameter), _ tape: Tape) throws -> Variable {
    try tape.layerNorm(x, weight: tape.variable(norm.weight), bias: tape.variable(norm.bias), epsilon: epsilon)
  }

  private func linear(_ x: Variable, _ dense: (weight: Parameter, bias: Parameter), _ tape: Tape) throws -> Variable {
    try tape.linear(
      x, weight: tape.variable(dense.weight), bias: tape.variable(dense.bias), roundsOperands: roundsOperands)
  }
}

extension GPT2 {
  /// What `config.json` says, checked.
  private struct Sizes {
    let vocabulary: Int
    let positions: Int
    let width: Int
    let layers: Int
    let heads: Int
    let inner: Int
    let activation: Activation
    let epsilon: Float
    let isTied: Bool
    let initializerRange: Float
    let scalesScores: Bool
    let scalesByLayer: Bool

    init(_ file: ConfigurationFile) throws {
      vocabulary = try file.integer("vocab_size")
      positions = try file.integer("n_positions")
      width = try file.integer("n_embd")
      layers = try file.integer("n_layer")
      heads = try file.integer("n_head")
      inner = try file.optionalInteger("n_inner", atLeast: 1) ?? 4 * width
      guard width % heads == 0 else {
        throw file.error("n_head", "is \(heads), which does not divide the width \(width)")
      }
      activation = try Self.activation(file)
      epsilon = Float(try file.number("layer_norm_epsilon", default: 1e-5))
      isTied = try file.boolean("tie_word_embeddings", default: true)
      initializerRange = Float(try file.number("initializer_range", default: 0.02))
      scalesScores = try file.boolean("scale_attn_weights", default: true)
      scalesByLayer = try file.boolean("scale_attn_by_inverse_layer_idx", default: false)
      if try file.boolean("add_cross_attention", default: false) {
        throw file.error("add_cross_attention", "is true: GPT-2 with cross-attention is not supported")
      }
    }

    private static func activation(_ file: ConfigurationFile) throws -> Activation {
      let name = try file.optionalString("activation_function") ?? "gelu_new"
      switch name {
      case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": return .geluTanh
      case "gelu": return .gelu
      case "relu": return .relu
      case "silu", "swish": return .silu
      default: throw file.error("activation_function", "is '\(name)'; known are gelu_new, gelu, relu, silu")
      }
    }

    func attentionScale(layer: Int) -> Float {
      let base = scalesScores ? 1 / Float(width / heads).squareRoot() : 1
      return scalesByLayer ? base / Float(layer + 1) : base
    }
  }
}
