import ArgumentParser
import Compute
import Foundation
import LanguageModels
import PromptTuning
import Tokenizers

extension WeightPrecision: ExpressibleByArgument {}

/// The operand type of matrix products.
enum ComputeType: String, CaseIterable, Codable, ExpressibleByArgument {
  case f32
  case bf16
}

/// The options of every command that opens a model.
struct ModelArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The model's directory: config.json, model.safetensors, tokenizer.json.", valueName: "directory"))
  var model: String

  @OptionGroup var precision: PrecisionArguments
}

/// How weights are kept and products computed.
struct PrecisionArguments: ParsableArguments {
  @Option(help: "How frozen weights are kept: checkpoint (as they are stored), f32, bf16 or f16.")
  var weights: WeightPrecision?

  @Option(help: "The operand type of matrix products, f32 or bf16; sums are always f32.")
  var computeType: ComputeType?

  func options(trainable: Bool = false) -> ModelOptions {
    ModelOptions(
      precision: weights ?? .checkpoint, isTrainable: trainable, roundsOperands: computeType == .bf16)
  }
}

/// A model and its tokenizer.
struct OpenedModel {
  let directory: ModelDirectory
  let model: any LanguageModel
  let codec: TextCodec

  /// - Throws: `CheckpointError`, `TokenizerError` or `ComputeError` naming the file and the culprit.
  init(_ path: String, _ options: ModelOptions, on backend: any ComputeBackend) throws {
    let url = URL(fileURLWithPath: path, isDirectory: true)
    directory = try ModelDirectory(url)
    let tokenizer = try TokenizerFiles.load(directory: url)
    model = try directory.load(on: backend, options)
    codec = try TextCodec(
      tokenizer: tokenizer, facts: model.facts, generationEndTokens: try directory.generationEndTokens())
  }
}

extension OpenedModel {
  /// - Throws: `MethodError.refused` for a model that writes no text.
  func requireText() throws {
    guard model.facts.kind != .encoder else {
      throw MethodError.refused("\(directory.url.path): an encoder writes no text; softprompt embed gives its vectors")
    }
  }
}
