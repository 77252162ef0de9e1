import Autodiff
import Compute
import LanguageModels

/// The layers from hidden states to scores or a value, which heads with weights of their own have in common.
///
/// Where transformers has a classification head for the family and the token, these are its layers under its names, so
/// that PEFT and transformers open what is trained; the checkpoint's own weights are where training starts. Else there is
/// one linear layer, and for the mask token a dense layer with tanh in front of it, as RoBERTa's head has it. New
/// weights are normal with a deviation of 0.02, new biases 0.
struct AnswerLayers {
  /// The deviation of new weights.
  static let deviation: Float = 0.02
  /// In front of the names of layers that transformers does not have.
  static let ownPrefix = "head."
  private static let stream: UInt64 = 0x6865_6164_0000_0000

  private struct Layer {
    let weight: Parameter
    let bias: Parameter?
    let activation: Activation?

    func callAsFunction(_ x: Variable, on tape: Tape) throws -> Variable {
      let y = try tape.linear(
        x, weight: tape.variable(weight), bias: bias.map { tape.variable($0) }, transposeB: true)
      return try activation.map { try tape.activation($0, y) } ?? y
    }
  }

  /// Whose hidden state is read; nil where each row that is given is read for itself.
  let token: HeadToken?
  /// Tensors that the model does not hold.
  let parameters: [Parameter]
  /// Tensors that are trained with a prompt and kept beside it.
  let keptParameters: [Parameter]
  /// Where transformers has the layers; nil where it has others or none.
  let layout: ClassifierLayout?
  private let layers: [Layer]
  /// In front of the last of them.
  private let dropout: HeadDropout?

  /// - Parameter answers: scores or values for each example.
  /// - Throws: `MethodError.refused` for a token that the model does not have.
  init(_ request: HeadRequest, answers: Int) throws {
    let facts = request.model.facts
    let layout = ClassifierLayout(facts)
    let token = request.token ?? Self.defaultToken(facts)
    try token.wanted.check(facts)
    guard token != .mask || request.codec.maskToken != nil else {
      throw MethodError.refused("--head-token mask: the tokenizer knows no mask token")
    }
    try self.init(
      request, answers: answers, token: token,
      layout: token.rawValue == layout?.token.rawValue ? layout : nil)
  }

  /// Layers that read every row for itself.
  ///
  /// - Parameters:
  ///   - answers: scores for each row.
  ///   - layout: where transformers has them; nil for one linear layer of our own.
  init(_ request: HeadRequest, answers: Int, layout: ClassifierLayout?) throws {
    try self.init(request, answers: answers, token: nil, layout: layout)
  }

  private init(_ request: HeadRequest, answers: Int, token: HeadToken?, layout: ClassifierLayout?) throws {
    self.token = token
    self.layout = layout
    var builder = LayerBuilder(request)
    let width = request.model.facts.hiddenWidth
    if let layout {
      layers =
        try layout.layers.map {
          try builder.layer($0.name, width, width, activation: $0.activation, isBackbone: $0.isBackbone)
        } + [try builder.layer(layout.output, width, answers, hasBias: layout.hasBias)]
    } else {
      layers =
        (token == .mask ? [try builder.layer("\(Self.ownPrefix)dense", width, width, activation: .tanh)] : [])
        + [try builder.layer("\(Self.ownPrefix)output", width, answers)]
    }
    dropout = request.dropout
    parameters = builder.new
    keptParameters = builder.kept
  }

  /// The rows that are read.
  var wanted: WantedRows { token?.wanted ?? .words }

  /// What is read where nothing else is asked for: the token of the family's own head; of an encoder-decoder, whose
  /// encoder has no token for a whole text, the mean.
  static func defaultToken(_ facts: ModelFacts) -> HeadToken {
    switch ClassifierLayout(facts)?.token {
    case .first: .first
    case .last: .last
    case .every, nil: facts.kind == .causal ? .last : .mean
    }
  }

  /// Wanted rows to answers: `[examples, answers]`, or `[rows, answers]` where every row is read for itself.
  func callAsFunction(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    var x = token == .mean ? try tape.segmentMeans(hidden, counts: examples.map(WantedRows.text.count)) : hidden
    for layer in layers.dropLast() { x = try layer(x, on: tape) }
    if let dropout { x = try dropout(x, on: tape) }
    return try layers.last?(x, on: tape) ?? x
  }

  /// Finds the tensors of layers among the model's, and makes those that are not there.
  private struct LayerBuilder {
    let request: HeadRequest
    private(set) var new: [Parameter] = []
    private(set) var kept: [Parameter] = []

    init(_ request: HeadRequest) { self.request = request }

    mutating func layer(
      _ name: String, _ inputs: Int, _ outputs: Int, hasBias: Bool = true, activation: Activation? = nil,
      isBackbone: Bool = false
    ) throws -> Layer {
      // Both or neither: a bias of the checkpoint means nothing beside a new weight.
      let isStored =
        stored("\(name).weight", [outputs, inputs]) != nil && (!hasBias || stored("\(name).bias", [outputs]) != nil)
      let weight = try parameter("\(name).weight", [outputs, inputs], isStored, isBackbone)
      let bias = hasBias ? try parameter("\(name).bias", [outputs], isStored, isBackbone) : nil
      return Layer(weight: weight, bias: bias, activation: activation)
    }

    private func stored(_ name: String, _ shape: Shape) -> Parameter? {
      request.model.parameters.first { $0.name == name && $0.shape == shape }
    }

    private mutating func parameter(_ name: String, _ shape: Shape, _ isStored: Bool, _ isBackbone: Bool) throws
      -> Parameter
    {
      let backend = request.model.backend
      let parameter: Parameter
      if isStored, let known = stored(name, shape) {
        parameter = known
        parameter.isTrainable = request.trainable == .all || (request.trainable == .prompt && !isBackbone)
        if parameter.isTrainable, parameter.value.dtype != .f32 {
          let rows = (0..<shape[0]).map(Int32.init)
          parameter.value = try backend.gatherRows(parameter.value, try backend.indices(rows))
        }
      } else {
        var generator = Philox(seed: request.seed, stream: AnswerLayers.stream + UInt64(new.count))
        let values =
          shape.rank == 1
          ? [Float](repeating: 0, count: shape.count)
          : (0..<shape.count).map { _ in AnswerLayers.deviation * generator.nextNormal() }
        parameter = Parameter(
          name: name, value: try backend.tensor(values, shape), isTrainable: request.trainable != .none)
        new.append(parameter)
      }
      if !isStored || !isBackbone { kept.append(parameter) }
      return parameter
    }
  }
}

extension Tape {
  /// The mean of consecutive rows of `x` `[sum of counts, n]`: `[counts, n]`.
  func segmentMeans(_ x: Variable, counts: [Int]) throws -> Variable {
    let rows = x.shape[0]
    precondition(counts.reduce(0, +) == rows && !counts.contains(0), "segments make up the rows, none of them empty")
    var weights = [Float](repeating: 0, count: counts.count * rows)
    var row = 0
    for (segment, count) in counts.enumerated() {
      for place in row..<row + count { weights[segment * rows + place] = 1 / Float(count) }
      row += count
    }
    return try linear(constant(try backend.tensor(weights, [counts.count, rows]), name: "segments"), weight: x)
  }
}
