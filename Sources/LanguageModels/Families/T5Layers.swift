import Autodiff
import Compute

/// The layers of T5's encoder and decoder, by what `config.json` says.
struct T5Layers {
  let width: Int
  let heads: Int
  let encoderLayers: Int
  let decoderLayers: Int
  let vocabulary: Int
  /// Columns of queries, keys and values, which need not be the width of the hidden states.
  var innerWidth: Int { heads * headWidth }
  private let headWidth: Int
  private let feedForwardWidth: Int
  private let buckets: Int
  private let maximumDistance: Int
  private let epsilon: Double
  private let activation: Activation
  private let isGated: Bool
  private let file: ConfigurationFile
  private let weights: ParameterBuilder

  init(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws {
    self.file = file
    self.weights = weights
    width = try file.integer("d_model")
    headWidth = try file.integer("d_kv")
    feedForwardWidth = try file.integer("d_ff")
    heads = try file.integer("num_heads")
    encoderLayers = try file.integer("num_layers")
    decoderLayers = try file.optionalInteger("num_decoder_layers", atLeast: 1) ?? encoderLayers
    vocabulary = try file.integer("vocab_size")
    buckets = try file.optionalInteger("relative_attention_num_buckets", atLeast: 4) ?? 32
    maximumDistance = try file.optionalInteger("relative_attention_max_distance", atLeast: 1) ?? 128
    guard buckets % 2 == 0 else { throw file.error("relative_attention_num_buckets", "is \(buckets), which is odd") }
    guard maximumDistance > buckets / 2 else {
      throw file.error(
        "relative_attention_max_distance", "is \(maximumDistance), too little for \(buckets) buckets")
    }
    epsilon = try file.number("layer_norm_epsilon", default: 1e-6)
    let projection = try file.optionalString("feed_forward_proj") ?? "relu"
    switch projection {
    case "relu": (isGated, activation) = (false, .relu)
    case "gelu": (isGated, activation) = (false, .gelu)
    case "silu": (isGated, activation) = (false, .silu)
    // In these models "gated-gelu" means GELU's tanh form.
    case "gated-gelu": (isGated, activation) = (true, .geluTanh)
    case "gated-relu": (isGated, activation) = (true, .relu)
    case "gated-silu": (isGated, activation) = (true, .silu)
    default:
      throw file.error(
        "feed_forward_proj", "is '\(projection)'; known are relu, gelu, silu, gated-gelu, gated-relu and gated-silu")
    }
  }

  /// The token that the decoder reads first.
  func startToken() throws -> Int32 {
    let ids = try file.identifiers("decoder_start_token_id") + file.identifiers("pad_token_id")
    guard let id = ids.first else { throw file.error("decoder_start_token_id", "is missing") }
    guard Int(id) < vocabulary else {
      throw file.error("decoder_start_token_id", "is \(id), outside the vocabulary of \(vocabulary)")
    }
    return id
  }

  func encoder() throws -> [TransformerBlock] {
    let table = try table("encoder")
    return try (0..<encoderLayers).map { layer in
      let name = "encoder.block.\(layer).layer"
      return TransformerBlock(
        arrangement: .normFirst, attentionNorm: try norm("\(name).0.layer_norm"),
        attention: try attention("\(name).0.SelfAttention", table, bidirectional: true),
        feedForwardNorm: try norm("\(name).1.layer_norm"),
        feedForward: try feedForward("\(name).1.DenseReluDense"))
    }
  }

  func decoder() throws -> [CrossAttentionBlock] {
    let table = try table("decoder")
    return try (0..<decoderLayers).map { layer in
      let name = "decoder.block.\(layer).layer"
      return CrossAttentionBlock(
        attentionNorm: try norm("\(name).0.layer_norm"),
        attention: try attention("\(name).0.SelfAttention", table, bidirectional: false),
        memoryNorm: try norm("\(name).1.layer_norm"),
        memoryAttention: try memoryAttention("\(name).1.EncDecAttention"),
        feedForwardNorm: try norm("\(name).2.layer_norm"),
        feedForward: try feedForward("\(name).2.DenseReluDense"))
    }
  }

  func norm(_ name: String) throws -> Norm { try weights.rmsNorm(name, width, epsilon: epsilon) }

  /// The biases of relative positions, which the first layer of a stack holds for all of them.
  private func table(_ stack: String) throws -> Parameter {
    try weights.parameter(
      "\(stack).block.0.layer.0.SelfAttention.relative_attention_bias.weight", [buckets, heads],
      initial: .normal(scale: Self.deviation(width)), keepsF32: true)
  }

  private func attention(_ name: String, _ table: Parameter, bidirectional: Bool) throws -> SelfAttention {
    let projections = try projections(name)
    return SelfAttention(
      .separate(query: projections.query, key: projections.key, value: projections.value), output: projections.output,
      // The scale is part of the initialisation instead.
      attributes: AttentionAttributes(
        heads: heads, scale: 1,
        bias: .relative(table: table.value, bidirectional: bidirectional, maximumDistance: maximumDistance)),
      headWidth: headWidth, relativeTable: table)
  }

  private func memoryAttention(_ name: String) throws -> CrossAttention {
    let projections = try projections(name)
    return CrossAttention(
      query: projections.query, key: projections.key, value: projections.value, output: projections.output,
      attributes: AttentionAttributes(heads: heads, scale: 1))
  }

  private func projections(_ name: String) throws -> (query: Linear, key: Linear, value: Linear, output: Linear) {
    (
      try linear("\(name).q", width, innerWidth, deviation: Self.deviation(width * headWidth)),
      try linear("\(name).k", width, innerWidth, deviation: Self.deviation(width)),
      try linear("\(name).v", width, innerWidth, deviation: Self.deviation(width)),
      try linear("\(name).o", innerWidth, width, deviation: Self.deviation(innerWidth))
    )
  }

  private func feedForward(_ name: String) throws -> FeedForward {
    func input(_ part: String) throws -> Linear {
      try linear("\(name).\(part)", width, feedForwardWidth, deviation: Self.deviation(width))
    }
    func output() throws -> Linear {
      try linear("\(name).wo", feedForwardWidth, width, deviation: Self.deviation(feedForwardWidth))
    }
    return isGated
      ? .gated(gate: try input("wi_0"), up: try input("wi_1"), activation: activation, output: try output())
      : .plain(input: try input("wi"), activation: activation, output: try output())
  }

  private func linear(_ name: String, _ inputs: Int, _ outputs: Int, deviation: Float) throws -> Linear {
    try weights.linear(name, inputs, outputs, bias: false, scale: deviation)
  }

  /// The deviation of random weights that read so many inputs.
  private static func deviation(_ inputs: Int) -> Float { 1 / Float(inputs).squareRoot() }
}
