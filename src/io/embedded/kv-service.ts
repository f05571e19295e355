import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { deleteOp, deleteOut, putOp, putOut, rangeOp, rangeOut, txnOp, txnOut } from "./convert.ts";
import type {
  CompactionRequestIn,
  DeleteRangeRequestIn,
  PutRequestIn,
  RangeRequestIn,
  TxnRequestIn,
} from "./rpc-messages.ts";
import { type ServiceContext, unary, unaryWrite } from "./service-context.ts";

/** etcdserverpb.KV. */
export function kvService(context: ServiceContext): UntypedServiceImplementation {
  const { store } = context;
  return {
    Range: unary(context, (request: RangeRequestIn) => {
      const reply = store.range(rangeOp(request));
      return rangeOut(context.header(reply.revision), reply);
    }),
    Put: unaryWrite(context, (request: PutRequestIn) => {
      const reply = store.put(putOp(request));
      return putOut(context.header(reply.revision), reply);
    }),
    DeleteRange: unaryWrite(context, (request: DeleteRangeRequestIn) => {
      const reply = store.deleteRange(deleteOp(request));
      return deleteOut(context.header(reply.revision), reply);
    }),
    Txn: unaryWrite(context, (request: TxnRequestIn) => {
      const reply = store.txn(txnOp(request));
      return txnOut(context.header(reply.revision), reply);
    }),
    Compact: unary(context, (request: CompactionRequestIn) => {
      const revision = store.compact(Number(request.revision ?? 0));
      // `physical` waits until the history is gone.
      if (request.physical === true) store.mvcc.prune(Number.POSITIVE_INFINITY);
      return { header: context.header(revision) };
    }),
  };
}
