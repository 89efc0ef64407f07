%% Has a RabbitMQ 3.10 whose stream stays "down or inaccessible" take up again what a full disk interrupted:
%%
%%     rabbitmqctl eval "$(cat deploy/mend-stream.erl)"
%%
%% Its coordinator of streams has noted that the queue's record is being renewed, and what did that is gone with
%% the crash. Later versions try again by themselves (rabbitmq-server pull request 6216). Where nothing is
%% interrupted this does nothing.
Coordinator = {rabbit_stream_coordinator, node()},
{ok, {_, State}, _} = ra:local_query(Coordinator, fun(All) -> All end),
[{Stream, ra:process_command(Coordinator, {action_failed, Stream,
      #{action => updating_mnesia, index => 0, node => node(), epoch => Epoch}})}
 || {Stream, Fields} <- maps:to_list(element(2, State)), {updating, Epoch} <- tuple_to_list(Fields)].
